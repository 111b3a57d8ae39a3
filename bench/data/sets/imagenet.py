"""Images with ImageNet-1k's labels, without a claim about which images they are."""

from collections.abc import Sequence

from bench.data.dataset import IMAGENET_CLASSES, Dataset, LabelSet
from bench.data.imagenet import labels_named, wnids
from bench.data.listing import Listing
from zoo.errors import DataError


def imagenet_dataset(
    listing: Listing, path: str, kind: str, *, mask: tuple[int, ...] | None = None
) -> Dataset:
    """Return the listing with the labels of its WordNet ids, names in words, or class indices.

    Raises:
        DataError: a class is not one of ImageNet-1k's, or an index is out of range.
    """
    _check_classes(listing)
    label_of = {name: labels_named(name) for name in listing.names}
    labels = tuple(t if isinstance(t, int) else label_of[t][0] for t in listing.targets)
    for image, label in zip(listing.images, labels, strict=True):
        if not 0 <= label < IMAGENET_CLASSES:
            raise DataError(
                f"{path}: {image} has the label {label}; ImageNet's class indices run from 0 to "
                f"{IMAGENET_CLASSES - 1} in the order of their WordNet ids"
            )
    return Dataset(
        name=name_of(listing, path),
        kind=kind,
        root=listing.root,
        images=listing.images,
        labels=labels,
        sizes=listing.sizes,
        classes=IMAGENET_CLASSES,
        note=listing.note,
        reader=listing.reader,
        archives=listing.archives,
        mask=mask,
    )


def name_of(listing: Listing, path: str) -> str:
    """Return the last word of a path, or its folder's where that is a pattern."""
    return listing.root.resolve().name if listing.root.is_dir() else listing.root.name


def _check_classes(listing: Listing) -> None:
    """Check that each class name means one class of ImageNet-1k; one without images may be any.

    Raises:
        DataError: one does not; says what it may be.
    """
    odd = sorted(name for name in listing.names if len(labels_named(name)) != 1)
    if listing.images:
        odd = sorted(set(odd) & {str(target) for target in listing.targets})
    if not odd:
        return
    shown = ", ".join(odd[:5]) + (f" … ({len(odd)} in all)" if len(odd) > 5 else "")
    raise DataError(
        f"{listing.root}: class names that are not ImageNet-1k's: {shown}; {_advice(odd, listing)}"
    )


def _advice(odd: Sequence[str], listing: Listing) -> str:
    """Return what to do about names of classes; never what would give wrong labels."""
    if all(name.isdecimal() for name in odd):
        return (
            "v2:DIR takes numbers as ImageNet's class indices (ImageNet-V2's folders); for classes "
            "of your own, --labels folder numbers the folders alphabetically, 10 before 2"
        )
    if inside := sorted(set(odd) & {"val", "validation"}):
        if listing.root.is_dir():
            return f"give the folder itself: {listing.root / inside[0]}"
        return f"pack the class folders alone: tar -C {inside[0]} -cf FILE.tar ."
    if all(name.lower() in wnids() for name in odd):
        return f"write WordNet ids in lower case: {odd[0].lower()}"
    if several := labels_named(odd[0]):
        ids = " or ".join(wnids()[label] for label in several)
        return f"{odd[0]!r} is the name of {len(several)} classes: rename it to {ids}"
    if any(labels_named(name) for name in listing.names):
        return (
            "other names there are ImageNet's: rename these to WordNet ids like n01440764, or move "
            "them away if they are not classes"
        )
    return (
        "rename them to WordNet ids like n01440764; for classes of your own, --labels folder "
        "numbers the folders alphabetically"
    )


def _label(listing: Listing, path: str) -> Dataset:
    return imagenet_dataset(listing, path, "imagenet-labels")


SET = LabelSet("imagenet-labels", "ImageNet's labels", None, None, lambda _: True, _label)
