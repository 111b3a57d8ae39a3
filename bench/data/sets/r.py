"""ImageNet-R: 30,000 renditions (art, toys, …) of 200 classes. Hendrycks et al. (2021)."""

from bench.data.dataset import Dataset, LabelSet
from bench.data.listing import Listing
from bench.data.sets.masked import has_its_classes, masked_dataset


def _knows(listing: Listing) -> bool:
    return has_its_classes(listing, "r")


def _label(listing: Listing, path: str) -> Dataset:
    return masked_dataset(listing, path, "r")


SET = LabelSet("imagenet-r", "ImageNet-R", 30_000, None, _knows, _label)
