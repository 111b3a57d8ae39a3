"""ImageNet-1k's validation set: 50,000 images, 50 a class."""

from collections.abc import Sequence

from bench.data.dataset import Dataset, LabelSet
from bench.data.imagenet import wnids
from bench.data.labels import VAL_IMAGES, labels_by_number, val_number
from bench.data.listing import Listing
from bench.data.sets import c
from bench.data.sets.imagenet import imagenet_dataset
from zoo.errors import DataError, MissingExtraError

KIND = "imagenet-val"


def has_val_names(listing: Listing) -> bool:
    """Return whether all images are named ``ILSVRC2012_val_NNNNNNNN``."""
    return bool(listing.images) and all(val_number(i) is not None for i in listing.images)


def _knows(listing: Listing) -> bool:
    # ImageNet-C keeps the names of the images that it was made of.
    return has_val_names(listing) and not c.SET.knows(listing)


def _label(listing: Listing, path: str) -> Dataset:
    dataset = imagenet_dataset(listing, path, KIND)
    numbers = [val_number(image) for image in dataset.images]
    _check_once(path, dataset.images, numbers)
    try:
        listed = labels_by_number()
    except MissingExtraError:
        return dataset  # nothing here knows better
    for image, number, label in zip(dataset.images, numbers, dataset.labels, strict=True):
        known = listed.get(number or 0)
        if known is not None and known != label:
            raise DataError(
                f"{path}: {image} has the label {wnids()[label]}, and the validation set's image "
                f"of that name has {wnids()[known]}: mend the labels, or rename other images"
            )
    return dataset


def _check_once(path: str, images: Sequence[str], numbers: Sequence[int | None]) -> None:
    first: dict[int, str] = {}
    for image, number in zip(images, numbers, strict=True):
        if number is not None and first.setdefault(number, image) != image:
            raise DataError(
                f"{path}: {first[number]} and {image} have the same number: remove the copy"
            )


SET = LabelSet(KIND, "ImageNet-1k's validation set", VAL_IMAGES, 50, _knows, _label)
