"""What every dataset is: images with ids and labels, in one fixed order, under one digest.

A layout says how the images lie; a set says what their labels mean.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from bench.data.files import read_file
from bench.data.imagenet import is_in_words
from bench.data.listing import Layout, Listing, Reader, look_at
from zoo.errors import DataError, UnknownNameError, first_line

IMAGENET_CLASSES = 1000

# Datasets that have a name and no place.
NAMED = {"sample": "bench.data.sample:open_sample"}
# Layouts, each known by what lies at a path.
LAYOUTS = {
    "folder": "bench.data.layouts.folder:LAYOUT",
    "flat": "bench.data.layouts.flat:LAYOUT",
    "torchvision": "bench.data.layouts.torchvision_root:LAYOUT",
    "tar": "bench.data.layouts.tar:LAYOUT",
    "webdataset": "bench.data.layouts.webdataset:LAYOUT",
    "parquet": "bench.data.layouts.parquet:LAYOUT",
}
# Test sets: the word before a path, as in ``v2:DIR``. Without one, the first that knows the images
# as its own is taken, else ImageNet's labels without a claim about which images they are.
SETS = {
    "val": "bench.data.sets.val:SET",
    "real": "bench.data.sets.real:SET",
    "v2": "bench.data.sets.v2:SET",
    "a": "bench.data.sets.a:SET",
    "r": "bench.data.sets.r:SET",
    "sketch": "bench.data.sets.sketch:SET",
    "c": "bench.data.sets.c:SET",
}
_UNCLAIMED = "bench.data.sets.imagenet:SET"
_OWN = "bench.data.sets.own:SET"
LABELS = ("imagenet", "folder")
WHAT_IS_LEFT_OUT = "as hidden, of the system, or not images"
# With this share of ImageNet's names among 1000 classes, they are ImageNet's.
_MOST = 0.9


@dataclass(frozen=True)
class Dataset:
    """Labelled images in a fixed order.

    ``images`` are ids, unique, with forward slashes; each layout says what they are made of.
    ``labels`` index the ``classes`` outputs of a network. ``sizes`` are bytes, which the digest
    holds beside names and labels, so that it costs no read of the images. ``reader`` returns the
    encoded image of an id; without one an id is a file name below ``root``. ``archives`` are the
    files that hold the images, where these are no files of their own.

    ``mask`` names the classes among which a prediction is made, where these are not all.
    ``right_labels`` has all right labels of each image, where there may be several; ``labels`` then
    has the first. ``left_out`` says which files next to the images are not evaluated.
    """

    name: str
    kind: str
    root: Path
    images: tuple[str, ...]
    labels: tuple[int, ...]
    sizes: tuple[int, ...]
    classes: int
    note: str | None = None
    reader: Reader | None = field(default=None, compare=False)
    archives: tuple[Path, ...] = field(default=(), compare=False)
    mask: tuple[int, ...] | None = None
    right_labels: tuple[tuple[int, ...], ...] | None = None
    left_out: str | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> bytes:
        """Return the encoded image; may be called by many threads at once."""
        image = self.images[index]
        return read_file(self.root / image) if self.reader is None else self.reader(image)

    @property
    def digest(self) -> str:
        """Return a sha256 over the kind, and names, labels and byte sizes in order."""
        labels = self.right_labels or self.labels
        rows = zip(self.images, labels, self.sizes, strict=True)
        text = "\n".join(f"{one_field(image)}\t{label}\t{size}" for image, label, size in rows)
        head = f"{self.kind}\t{self.classes}\t{self.mask}"
        return hashlib.sha256(f"{head}\n{text}".encode()).hexdigest()

    def limited(self, count: int) -> "Dataset":
        """Return ``count`` images spread evenly over the order, so over the classes."""
        if count >= len(self):
            return self
        chosen = [i * len(self) // count for i in range(count)]
        return self.chosen(chosen, f"{count} of {len(self)} images")

    def chosen(self, indices: list[int], note: str) -> "Dataset":
        """Return the images of some indices, in that order; ``note`` is added to the note."""
        right = self.right_labels
        return replace(
            self,
            images=tuple(self.images[i] for i in indices),
            labels=tuple(self.labels[i] for i in indices),
            sizes=tuple(self.sizes[i] for i in indices),
            right_labels=None if right is None else tuple(right[i] for i in indices),
            note="; ".join(filter(None, (self.note, note))),
        )


def one_field(name: str) -> str:
    """Return a name without tabs and newlines, and different for each name.

    Ordinary names are unchanged; one with a tab, a newline or a leading quote becomes JSON.
    """
    return json.dumps(name) if name.startswith('"') or "\t" in name or "\n" in name else name


@dataclass(frozen=True)
class LabelSet:
    """A test set: what it is called in the evidence, how it is known, and its labels.

    ``images`` and ``per_class`` are what the whole set has, where that is fixed.
    ``knows`` tells by names whether a listing is of this set.
    """

    kind: str
    title: str
    images: int | None
    per_class: int | None
    knows: Callable[[Listing], bool]
    label: Callable[[Listing, str], Dataset]


@dataclass(frozen=True)
class Opened:
    """A dataset with what was recognised about it."""

    dataset: Dataset
    listing: Listing | None
    label_set: LabelSet | None
    recognised: bool
    path: str = ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Return what a user should know before a run, one line each.

        Which set was taken, where it was named or recognised; a count that is not the set's; labels
        that were matched by words; files that are left out.
        """
        named = self.label_set not in (None, _set(_UNCLAIMED), _set(_OWN)) or self.unclaimed_val
        lines = (
            self.describe() if named else None,
            self.wrong_count,
            self.matched_names,
            self.left_out,
        )
        return tuple(line for line in lines if line)

    @property
    def wrong_count(self) -> str | None:
        """Return how the number of images differs from the set's, or None."""
        whole = self.label_set.images if self.label_set else None
        surplus = len(self.dataset) - (whole or len(self.dataset))
        if not surplus:
            return None
        what = f"{surplus:,} images more than" if surplus > 0 else f"{-surplus:,} images missing of"
        return f"warning: {self.dataset.name}: {what} the set's {whole:,}"

    @property
    def left_out(self) -> str | None:
        """Return how many files and folders at the path are not evaluated, and which; or None."""
        names = self.listing.left_out if self.listing else ()
        if not names:
            return None
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        return f"{self.dataset.name}: left out, {WHAT_IS_LEFT_OUT}: {len(names):,}: {shown}"

    @property
    def matched_names(self) -> str | None:
        """Return what was made of folders that are named by ImageNet's classes in words."""
        words = sorted(filter(is_in_words, self.listing.names)) if self.listing else []
        if self.label_set is not _set(_OWN):
            found = f"{len(words)} folders matched to ImageNet's classes by name"
            return f"{self.dataset.name}: {found}" if words else None
        # With fewer classes, a network with ImageNet's outputs is refused.
        if len(words) < _MOST * IMAGENET_CLASSES or self.dataset.classes != IMAGENET_CLASSES:
            return None
        return (
            f"warning: {self.dataset.name}: its folders are ImageNet's classes in words, and "
            "--labels folder numbers them alphabetically, which is not ImageNet's order: leave it "
            "out for a model with ImageNet's outputs"
        )

    @property
    def unclaimed_val(self) -> bool:
        """Return whether it has the validation set's size, and nothing says that it is it."""
        unclaimed = self.label_set is not None and self.label_set is _set(_UNCLAIMED)
        return unclaimed and len(self.dataset) == _set(SETS["val"]).images

    def describe(self) -> str:
        """Return one line that says which set was taken, and why."""
        if self.label_set is None or self.listing is None:
            return f"{self.dataset.name}: {len(self.dataset):,} images"
        why = ", recognised by its names" if self.recognised else ""
        if self.unclaimed_val:
            why = f": as many images as the validation set; if they are it, say val:{self.path}"
        count, whole = len(self.dataset), self.label_set.images
        part = f" of {whole:,}" if whole not in (None, count) else ""
        mask = self.dataset.mask
        among = f"; predictions among its {len(mask)} classes" if mask else ""
        return (
            f"{self.dataset.name}: {self.label_set.title}{why}, "
            f"{count:,}{part} images ({self.listing.layout}){among}"
        )


def open_dataset(data: str, *, labels: str, limit: int | None = None) -> Dataset:
    """Open ``[SET:]PATH``, or a dataset by its name.

    Args:
        data: a folder, a file or a pattern of files, in any of the ``LAYOUTS``, after the name of
            one of the ``SETS`` where its names do not say which set it is.
        labels: ``imagenet``; ``folder``, which numbers the classes alphabetically; or a labels
            file for images that lie flat.
        limit: so many images, spread over the order.

    Raises:
        DataError: it is not there, holds no images, or its layout or its labels are unknown.
        UnknownNameError: no such set.
    """
    dataset = open_told(data, labels=labels).dataset
    return dataset if limit is None else dataset.limited(limit)


def open_told(data: str, *, labels: str) -> Opened:
    """Open a dataset, and tell what it was recognised as; as ``open_dataset``."""
    if data in NAMED:
        opener = cast(Callable[..., Dataset], _resolve(NAMED[data]))
        return Opened(opener(data, labels=labels), None, None, recognised=False)
    asked, path = split(data)
    listing = list_images(path, check_labels(labels))
    known = [name for name, where in SETS.items() if asked is None and _set(where).knows(listing)]
    if labels == "folder":
        if asked is not None:
            raise DataError(f"{data}: {asked}: has ImageNet's labels; leave out --labels folder")
        where, known = _OWN, []
    else:
        where = SETS[asked] if asked else SETS[known[0]] if known else _UNCLAIMED
    label_set = _set(where)
    opened = Opened(label_set.label(listing, path), listing, label_set, bool(known), path)
    if not opened.dataset.images:
        but = f" ({opened.left_out})" if opened.left_out else ""
        raise DataError(
            f"{path}: no images in it{but}; expected {_layout(listing.layout).looks_like}"
        )
    return replace(opened, dataset=replace(opened.dataset, left_out=opened.left_out))


def each_of(data: str) -> list[str]:
    """Return the datasets that ``--data`` stands for: ImageNet-C's conditions, or itself."""
    from bench.data.sets.c import conditions

    asked, path = (None, data) if data in NAMED else split(data)
    found = conditions(path) if asked in (None, "c") else []
    return [f"c:{folder}" for folder in found] or [data]


def split(data: str) -> tuple[str | None, str]:
    """Return the set's name, if one is given, and the path.

    Raises:
        UnknownNameError: the word before the colon is no set, and the whole is no path.
    """
    word, colon, path = data.partition(":")
    if not colon or Path(data).expanduser().exists() or "://" in data:
        return None, data
    if word not in SETS:
        raise UnknownNameError("set", word, SETS, f"--data {data}")
    return word, path


def list_images(path: str, labels_file: Path | None = None) -> Listing:
    """List the images at a path, by the one layout that fits what lies there.

    Raises:
        DataError: no layout fits, or several do; or it cannot be read.
    """
    try:
        listing = _list(path, labels_file)
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise DataError(f"{error.filename or path}: cannot be read: {reason}") from None
    for image in listing.images:
        try:
            image.encode()
        except UnicodeEncodeError:
            raise DataError(f"{path}: the file name {image!r} is no UTF-8: rename it") from None
    return listing


def _list(path: str, labels_file: Path | None) -> Listing:
    found = look_at(path)
    fitting = [name for name in LAYOUTS if _layout(name).fits(found)]
    if len(fitting) == 1:
        return _layout(fitting[0]).list(found, labels_file)
    known = [_layout(name).looks_like for name in fitting or LAYOUTS]
    what = "several layouts fit" if fitting else "no layout that is known"
    raise DataError(
        f"{path}: {what}: found {found.describe()}; expected one of: {'; '.join(known)}"
    )


def check_labels(labels: str) -> Path | None:
    """Return the labels file that ``--labels`` names, or None for one of its words.

    Raises:
        UnknownNameError: it is neither.
    """
    if labels in LABELS:
        return None
    path = Path(labels).expanduser()
    if not path.is_file():
        raise UnknownNameError("labels", labels, LABELS, "--labels (no such file either)")
    return path


def _layout(name: str) -> Layout:
    return cast(Layout, _resolve(LAYOUTS[name]))


def _set(where: str) -> LabelSet:
    return cast(LabelSet, _resolve(where))


def _resolve(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)
