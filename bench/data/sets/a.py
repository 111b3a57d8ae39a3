"""ImageNet-A: 7,500 photographs that fool ResNet-50, of 200 classes. Hendrycks et al. (2021)."""

from bench.data.dataset import Dataset, LabelSet
from bench.data.listing import Listing
from bench.data.sets.masked import has_its_classes, masked_dataset


def _knows(listing: Listing) -> bool:
    return has_its_classes(listing, "a")


def _label(listing: Listing, path: str) -> Dataset:
    return masked_dataset(listing, path, "a")


SET = LabelSet("imagenet-a", "ImageNet-A", 7_500, None, _knows, _label)
