"""Where the rows of a plan are measured: one file an executor."""
