"""ImageNet-Sketch: 50,889 drawings in black and white, about 51 a class. Wang et al. (2019)."""

import re

from bench.data.dataset import Dataset, LabelSet
from bench.data.listing import Listing
from bench.data.sets.imagenet import imagenet_dataset

KIND = "imagenet-sketch"


def _knows(listing: Listing) -> bool:
    names = [image.rpartition("/")[2] for image in listing.images]
    return bool(names) and all(re.fullmatch(r"sketch_\d+\.\w+", name) for name in names)


def _label(listing: Listing, path: str) -> Dataset:
    return imagenet_dataset(listing, path, KIND)


SET = LabelSet(KIND, "ImageNet-Sketch", 50_889, None, _knows, _label)
