"""Files of a dataset: which are left out of it, and reads that neither hang nor fill the memory."""

import errno
import stat
from pathlib import Path

# What file systems, network storage and archivers add to a user's files, in lower case.
_SYSTEM_NAMES = frozenset(
    {
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "__macosx",
        "desktop.ini",
        "ehthumbs.db",
        "found.000",
        "lost+found",
        "network trash folder",
        "recycler",
        "system volume information",
        "temporary items",
        "thumbs.db",
    }
)
# No encoded image is larger; a device or a damaged archive may claim to be.
_MAX_IMAGE_BYTES = 2**30
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def is_left_out(name: str) -> bool:
    """Return whether a file or folder is hidden, or one that a system adds, like ``@eaDir``."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def special_kind(mode: int) -> str | None:
    """Return what a file is by its ``st_mode``, as in "a FIFO"; None for a regular file."""
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "a special file")


def size_bytes(path: Path) -> int:
    """Return a file's size; 0 of a link to nothing or to itself, which is named when it is read."""
    try:
        return path.stat().st_size
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return 0
        raise


def read_file(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        OSError: it cannot be read, is too large for an image, or is not a regular file: that would
            block or never end, so it is not opened.
    """
    status = path.stat()
    if kind := special_kind(status.st_mode):
        raise OSError(f"{kind}, not a file")
    check_image_bytes(status.st_size)
    return path.read_bytes()


def check_image_bytes(size: int) -> None:
    """Check the size of an encoded image before it is read.

    Raises:
        OSError: it is too large for an image.
    """
    if size > _MAX_IMAGE_BYTES:
        raise OSError(f"{size:,} bytes, too large for an image (at most {_MAX_IMAGE_BYTES:,})")
