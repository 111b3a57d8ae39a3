"""Images with ImageNet-1k's labels, without a claim about which images they are."""

from bench.data.dataset import IMAGENET_CLASSES, Dataset, LabelSet
from bench.data.imagenet import wnids
from bench.data.listing import Listing
from zoo.errors import DataError


def imagenet_dataset(
    listing: Listing, path: str, kind: str, *, mask: tuple[int, ...] | None = None
) -> Dataset:
    """Return the listing with the labels of its WordNet ids or class indices.

    Raises:
        DataError: a class is no WordNet id of ImageNet-1k, or an index is out of range.
    """
    check_wnids(listing)
    label_of = {wnid: label for label, wnid in enumerate(wnids())}
    labels = tuple(t if isinstance(t, int) else label_of[t] for t in listing.targets)
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


def check_wnids(listing: Listing) -> None:
    """Check that all class names are WordNet ids of ImageNet-1k.

    Raises:
        DataError: they are not; says what they may be.
    """
    odd = sorted(listing.names - set(wnids()))
    if not odd:
        return
    shown = ", ".join(odd[:5]) + (f" … ({len(odd)} in all)" if len(odd) > 5 else "")
    mend = (
        "rename them to ids like n01440764, or number the folders alphabetically with "
        "--labels folder"
    )
    if all(name.isdigit() for name in odd):
        mend = (
            "class indices are taken with v2:DIR (ImageNet-V2's folders), and --labels folder "
            "numbers the folders alphabetically, 10 before 2"
        )
    elif set(odd) & {"val", "validation"}:
        inside = sorted(set(odd) & {"val", "validation"})[0]
        mend = f"give the folder itself: {listing.root / inside}"
    raise DataError(
        f"{listing.root}: folder names that are no ImageNet-1k WordNet ids: {shown}; {mend}"
    )


def _label(listing: Listing, path: str) -> Dataset:
    return imagenet_dataset(listing, path, "imagenet-labels")


SET = LabelSet("imagenet-labels", "ImageNet's labels", None, None, lambda _: True, _label)
