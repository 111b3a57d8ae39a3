"""Tar files read in place: an index of offsets, and reads that many threads may make at once."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench.data.files import check_image_bytes, is_left_out
from zoo.errors import DataError

_BLOCK = 512
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Member:
    """Where a file's bytes are in an archive."""

    name: str
    archive: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Return the file's bytes. Opens the archive again: threads share no position.

        Raises:
            OSError: the archive cannot be read, or the file is too large for an image.
        """
        check_image_bytes(self.size)
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


@dataclass(frozen=True)
class Index:
    """The files of an archive in its order, each name once, and the names that are left out.

    A name has no leading slash, as tar extracts it, and no empty or ``.`` part. A folder that is
    left out is named once.
    """

    members: tuple[Member, ...]
    left_out: tuple[str, ...]


def read_index(path: Path) -> Index:
    """Return the index of an uncompressed archive.

    Raises:
        DataError: it is compressed, is not an archive, has a name twice, a name with ``..``, or
            what is not a plain file; or it is cut short: the last file must be whole, the mark of
            the archive's end must follow it, and nothing after that.
    """
    members: dict[str, Member] = {}
    left_out: dict[str, None] = {}
    for member in _entries(path):
        if outside := _left_out(member.name):
            left_out[outside] = None
        elif member.name in members:
            raise DataError(f"{path}: {member.name} is in it twice; pack each file once")
        else:
            members[member.name] = member
    return Index(tuple(members.values()), tuple(left_out))


def first_names(path: Path, count: int) -> list[str]:
    """Return the names of the first files of an archive; raises as ``read_index`` does."""
    return [member.name for member in islice(_entries(path), count)]


def _left_out(name: str) -> str | None:
    """Return the name up to its first part that is left out, or None."""
    parts = name.split("/")
    places = [place for place, part in enumerate(parts) if is_left_out(part)]
    return "/".join(parts[: places[0] + 1]) if places else None


def _entries(path: Path) -> Iterator[Member]:
    """Yield all files of an archive, also those that are left out."""
    count, end = 0, 0
    try:
        with tarfile.open(path, "r:") as archive:
            for info in archive:
                archive.members = []  # type: ignore[attr-defined]  # it keeps all that it has seen
                end = info.offset_data + (-(-info.size // _BLOCK) * _BLOCK if info.isreg() else 0)
                name = _clean_name(path, info.name)
                if info.isdir():
                    continue
                if not _left_out(name):
                    _check_plain(path, info)
                count += 1
                yield Member(name, path, info.offset_data, info.size)
    except (tarfile.TarError, ValueError) as error:  # ValueError: a damaged number in a header
        if count:
            raise DataError(f"{path}: cut short after {count} files: {error}") from None
        raise DataError(
            f"{path}: not an uncompressed tar file: {error}; a compressed one must be unpacked "
            "first"
        ) from None
    _check_end(path, end, count)


def _clean_name(path: Path, name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise DataError(
            f"{path}: the name {name!r} leads out of its folder; pack the files again by names "
            "below one folder: tar -C FOLDER -cf FILE.tar ."
        )
    return "/".join(parts)


def _check_plain(path: Path, info: tarfile.TarInfo) -> None:
    if info.issym() or info.islnk():
        raise DataError(
            f"{path}: {info.name} is a link, without the file's bytes; pack the files "
            "themselves: tar --dereference --hard-dereference"
        )
    if info.issparse():
        raise DataError(f"{path}: {info.name} is sparse; pack the files without tar --sparse")
    if not info.isreg():
        raise DataError(
            f"{path}: {info.name} is not a file but a FIFO, device or label; pack without it"
        )


def _check_end(path: Path, end: int, count: int) -> None:
    with path.open("rb") as file:
        file.seek(end)
        if file.read(_BLOCK) != bytes(_BLOCK):
            raise DataError(f"{path}: cut short after {count} files: no end of the archive")
        while behind := file.read(_CHUNK):
            if behind.strip(b"\0"):
                raise DataError(
                    f"{path}: more data after its end, after {count} files: another archive? "
                    "Pack all files into one"
                )
