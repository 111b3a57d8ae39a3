"""Tar files read in place: an index of offsets, and reads that many threads may make at once."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.data.listing import visible
from zoo.errors import DataError

_BLOCK = 512
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Member:
    """Where a file's bytes lie in an archive."""

    name: str
    archive: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Return the file's bytes. Opens the archive anew: no position is shared among threads."""
        with self.archive.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


class MemberReader:
    """Reads images by their ids from archives."""

    def __init__(self, members: dict[str, Member]) -> None:
        self._members = members

    def __call__(self, image: str) -> bytes:
        """Return the image's bytes."""
        return self._members[image].read()


def members(path: Path) -> Iterator[Member]:
    """Yield the visible files of an uncompressed archive, in its order.

    Raises:
        DataError: it is compressed, is no archive, has links, or is cut short: the last file must
            be whole, the mark of the archive's end must follow it, and nothing after that.
    """
    count, end = 0, 0
    try:
        with tarfile.open(path, "r:") as archive:
            for info in archive:
                archive.members = []  # type: ignore[attr-defined]  # it keeps all that it has seen
                end = info.offset_data + (-(-info.size // _BLOCK) * _BLOCK if info.isreg() else 0)
                parts = [part for part in info.name.split("/") if part != "."]
                if not all(visible(part) for part in parts):
                    continue
                if info.issym() or info.islnk():
                    raise DataError(
                        f"{path}: {info.name} is a link, without the file's bytes; pack the files "
                        "themselves: tar --dereference --hard-dereference"
                    )
                if info.isreg():
                    count += 1
                    yield Member("/".join(parts), path, info.offset_data, info.size)
    except tarfile.TarError as error:
        if count:
            raise DataError(f"{path}: cut short after {count} files: {error}") from None
        raise DataError(
            f"{path}: no uncompressed tar file: {error}; a compressed one must be unpacked first"
        ) from None
    with path.open("rb") as file:
        file.seek(end)
        if file.read(_BLOCK) != bytes(_BLOCK):
            raise DataError(f"{path}: cut short after {count} files: no end of the archive")
        while behind := file.read(_CHUNK):
            if behind.strip(b"\0"):
                raise DataError(
                    f"{path}: more lies behind its end, after {count} files: another archive? "
                    "Pack all files into one"
                )
