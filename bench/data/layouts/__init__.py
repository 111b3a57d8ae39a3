"""The ways in which labelled images lie on a disk, one file each; named in ``bench.data.dataset``."""
