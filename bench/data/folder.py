"""A folder of class folders, named by WordNet ids (or by anything, with ``labels="folder"``)."""

import difflib
import os
from pathlib import Path

from bench.data.dataset import IMAGENET_CLASSES, Dataset
from bench.data.imagenet import wnids
from zoo.errors import DataError


def open_folder(folder: str, *, labels: str) -> Dataset:
    """List the images of every class folder, sorted by class folder and name.

    Every file that is not hidden counts as an image: one that is none is named when it is read,
    and the row is marked partial, so that a dataset never shrinks in silence.

    Args:
        folder: the dataset's root.
        labels: ``imagenet`` takes folder names as WordNet ids, which have ImageNet's label order
            whatever subset is there; ``folder`` numbers the folders alphabetically.

    Raises:
        DataError: no such folder, no images in it, or folder names that are no WordNet ids.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise DataError(f"{folder}: no such data folder{_near(root)}")
    names = sorted(item.name for item in os.scandir(root) if item.is_dir() and _shown(item.name))
    label_of = _labels(root, names, labels)
    images: list[str] = []
    numbers: list[int] = []
    sizes: list[int] = []
    for name in names:
        for path, size in _files(root / name):
            images.append(path.relative_to(root).as_posix())
            numbers.append(label_of[name])
            sizes.append(size)
    if not images:
        raise DataError(_no_images(root, folder))
    classes = IMAGENET_CLASSES if labels == "imagenet" else len(names)
    return Dataset(
        name=root.resolve().name,
        kind=f"{labels}-folder",
        root=root,
        images=tuple(images),
        labels=tuple(numbers),
        sizes=tuple(sizes),
        classes=classes,
    )


def _labels(root: Path, names: list[str], labels: str) -> dict[str, int]:
    if labels == "folder":
        return {name: label for label, name in enumerate(names)}
    known = {wnid: label for label, wnid in enumerate(wnids())}
    odd = [name for name in names if name not in known]
    if odd:
        shown = ", ".join(odd[:5]) + (f" … ({len(odd)} in all)" if len(odd) > 5 else "")
        raise DataError(
            f"{root}: folder names that are no ImageNet-1k WordNet ids: {shown}; rename them to "
            "ids like n01440764, or number the folders alphabetically with --labels folder"
        )
    return known


def _files(folder: Path) -> list[tuple[Path, int]]:
    """Return all visible files below the folder, with their sizes, in sorted order."""
    found: list[tuple[Path, int]] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if _shown(name)]
        paths = (Path(parent, name) for name in files if _shown(name))
        found.extend((path, path.stat().st_size) for path in paths if path.exists())
    return sorted(found)


def _shown(name: str) -> bool:
    return not name.startswith(".")


def _no_images(root: Path, folder: str) -> str:
    loose = sum(1 for item in os.scandir(root) if item.is_file() and _shown(item.name))
    hint = f"; {loose} file(s) lie flat in it" if loose else ""
    return f"{folder}: no images in class folders{hint}; expected {folder}/n01440764/….JPEG"


def _near(path: Path) -> str:
    """Offer the sibling that the user may have meant."""
    parent = path.parent
    siblings = [item.name for item in parent.iterdir() if item.is_dir()] if parent.is_dir() else []
    near = difflib.get_close_matches(path.name, siblings, n=1)
    return f"; did you mean {parent / near[0]}?" if near else ""
