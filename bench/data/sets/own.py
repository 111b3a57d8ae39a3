"""A user's own classes: numbered in the alphabetical order of their names, as by ImageFolder."""

from bench.data.dataset import Dataset, LabelSet
from bench.data.listing import Listing
from bench.data.sets.imagenet import name_of
from zoo.errors import DataError


def _label(listing: Listing, path: str) -> Dataset:
    if names := names_in_order(listing):
        _check_names(listing, path)
        order = {name: label for label, name in enumerate(names)}
        labels = tuple(order[str(t)] for t in listing.targets)
        classes = len(order)
    else:
        labels = tuple(t for t in listing.targets if isinstance(t, int))
        classes = len(listing.classes or range(max(labels, default=-1) + 1))
    if labels and not 0 <= min(labels) <= max(labels) < classes:
        raise DataError(
            f"{path}: labels run from {min(labels)} to {max(labels)}, of {classes} classes"
        )
    return Dataset(
        name=name_of(listing, path),
        kind="own",
        root=listing.root,
        images=listing.images,
        labels=labels,
        sizes=listing.sizes,
        classes=classes,
        note=listing.note,
        reader=listing.reader,
        archives=listing.archives,
    )


_SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def names_in_order(listing: Listing) -> list[str]:
    """Return the names of the classes in the order of their labels; [] where labels are numbers."""
    stated = listing.classes if listing.layout == "parquet" else None
    return list(stated or sorted(listing.names)) if listing.names else []


def _check_names(listing: Listing, path: str) -> None:
    if listing.names <= _SPLITS:
        first = max(listing.names)  # val or validation, if it is there
        raise DataError(
            f"{path}: its folders are splits, not classes: give one, like {path}/{first}"
        )
    numbers = [t for t in listing.targets if isinstance(t, int)]
    if numbers:
        raise DataError(
            f"{path}: classes with and without names: {numbers[0]}, {min(listing.names)}; use one "
            "or the other"
        )


SET = LabelSet("own", "own classes in alphabetical order", None, None, lambda _: False, _label)
