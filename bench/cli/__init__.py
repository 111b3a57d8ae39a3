"""The command line: one file a sub-command, whose function imports what it needs when it runs."""
