"""A folder of class folders. An image's id is its file name relative to the folder."""

import os
from pathlib import Path

from bench.data.files import is_left_out, read_file, size_bytes
from bench.data.listing import Found, Layout, Listing
from zoo.errors import DataError


def list_class_folders(found: Found, labels_file: Path | None = None) -> Listing:
    """List the images of every class folder, sorted by class folder and name.

    Every file counts as an image, save those that ``is_left_out`` names: one that is not an image
    is named when it is read, and the row is marked partial.

    Raises:
        DataError: a labels file was named, which class folders do without, or links to folders.
        OSError: a folder cannot be listed.
    """
    if labels_file is not None:
        raise DataError(f"{found.path}: class folders are the labels; leave out --labels FILE")
    root = found.path
    images: list[str] = []
    targets: list[str] = []
    sizes: list[int] = []
    left_out: list[Path] = []
    for name in found.folders:
        for path, size in _files(root / name, left_out):
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
        classes=tuple(found.folders),
        left_out=(
            *found.left_out,
            *found.others,
            *(p.relative_to(root).as_posix() for p in left_out),
        ),
    )


class FileReader:
    """Reads images that are files below a root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __call__(self, image: str) -> bytes:
        """Return the file's bytes; raise OSError if it cannot be read, or is not a regular file."""
        return read_file(self._root / image)


def _files(folder: Path, left_out: list[Path]) -> list[tuple[Path, int]]:
    """Return the files below the folder with their sizes, sorted; add to what is left out."""
    found: list[tuple[Path, int]] = []
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        left_out += sorted(Path(parent, name) for name in (*folders, *files) if is_left_out(name))
        folders[:] = [name for name in folders if not is_left_out(name)]
        for path in (Path(parent, name) for name in folders):
            if path.is_symlink():
                raise DataError(f"{path}: a link to a folder; put its files into the class folder")
        paths = (Path(parent, name) for name in files if not is_left_out(name))
        found.extend((path, size_bytes(path)) for path in paths)
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise error


def _fits(found: Found) -> bool:
    others = found.images or found.tars or found.parquets or "meta.bin" in found.others
    return found.path.is_dir() and not others and (bool(found.folders) or not found.others)


LAYOUT = Layout("class folders, DIR/n01440764/….JPEG", _fits, list_class_folders)
