"""Test sets, one file each: what their labels mean, and how they are known."""
