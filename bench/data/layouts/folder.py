"""A folder of class folders. An image's id is its file name relative to the folder."""

import os
from collections.abc import Sequence
from pathlib import Path

from bench.data.listing import Found, Layout, Listing, size_bytes, visible
from zoo.errors import DataError


def list_class_folders(found: Found, labels_file: Path | None = None) -> Listing:
    """List the images of every class folder, sorted by class folder and name.

    Every file that is not hidden counts as an image: one that is none is named when it is read,
    and the row is marked partial, so that a dataset never shrinks in silence.

    Raises:
        DataError: a labels file was named, which class folders do without, or links to folders.
        OSError: a folder cannot be listed.
    """
    if labels_file is not None:
        raise DataError(f"{found.path}: class folders are the labels; leave out --labels FILE")
    return list_below(found.path, found.folders)


def list_below(root: Path, folders: Sequence[str]) -> Listing:
    """List all images below the class folders of a root."""
    images: list[str] = []
    targets: list[str] = []
    sizes: list[int] = []
    for name in folders:
        for path, size in _files(root / name):
            images.append(path.relative_to(root).as_posix())
            targets.append(name)
            sizes.append(size)
    return Listing(
        layout="folder",
        root=root,
        images=tuple(images),
        targets=tuple(targets),
        sizes=tuple(sizes),
        reader=FileReader(root),
        classes=tuple(folders),
    )


class FileReader:
    """Reads images that are files below a root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __call__(self, image: str) -> bytes:
        """Return the file's bytes."""
        return (self._root / image).read_bytes()


def _files(folder: Path) -> list[tuple[Path, int]]:
    """Return all visible files below the folder, with their sizes, in sorted order."""
    found: list[tuple[Path, int]] = []
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if visible(name)]
        for path in (Path(parent, name) for name in folders):
            if path.is_symlink():
                raise DataError(f"{path}: a link to a folder; put its files into the class folder")
        paths = (Path(parent, name) for name in files if visible(name))
        found.extend((path, size_bytes(path)) for path in paths)
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise error


def _fits(found: Found) -> bool:
    others = found.images or found.tars or found.parquets or "meta.bin" in found.others
    return found.path.is_dir() and not others and (bool(found.folders) or not found.others)


LAYOUT = Layout("class folders, DIR/n01440764/….JPEG", _fits, list_class_folders)
