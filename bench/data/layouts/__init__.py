"""The ways in which images lie on a disk, one file each; named in ``bench.data.dataset``."""
