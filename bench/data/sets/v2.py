"""ImageNet-V2: 10,000 images in folders that are class indices, 0 to 999.

Sorted as names they come 0, 1, 10, 100, 101, …; taken as classes in that order nearly every label
is wrong. Here the number is the label. Recht et al. (2019).
"""

from dataclasses import replace

from bench.data.dataset import IMAGENET_CLASSES, Dataset, LabelSet
from bench.data.listing import Listing
from bench.data.sets.imagenet import imagenet_dataset
from zoo.errors import DataError

KIND = "imagenet-v2"


def _knows(listing: Listing) -> bool:
    return listing.names == {str(label) for label in range(IMAGENET_CLASSES)}


def _label(listing: Listing, path: str) -> Dataset:
    numbered = {name for name in listing.names if name.isdecimal()}
    if odd := sorted(name for name in numbered if str(int(name)) != name):
        raise DataError(f"{path}: the folder {odd[0]} is not a class index: write {int(odd[0])}")
    if numbered and (odd := sorted(listing.names - numbered)):
        raise DataError(f"{path}: folders with and without numbers: {odd[0]}, {min(numbered)}")
    targets = tuple(int(t) if t in numbered else t for t in listing.targets)
    in_order = replace(listing, targets=targets, classes=None if numbered else listing.classes)
    return imagenet_dataset(in_order, path, KIND)


SET = LabelSet(KIND, "ImageNet-V2", 10_000, 10, _knows, _label)
