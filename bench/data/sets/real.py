"""ReaL: the validation set's images under reassessed labels, none, one or several of each.

Labels of Beyer et al., "Are we done with ImageNet?" (2020), as timm carries them: one list an
image, in the order of the numbers in the file names. Images without a right label are left out.
"""

import json
from dataclasses import replace

from bench.data.dataset import Dataset, LabelSet
from bench.data.imagenet import info
from bench.data.labels import val_number
from bench.data.listing import Listing
from bench.data.sets.imagenet import imagenet_dataset
from zoo.errors import DataError

KIND = "imagenet-real"
# Of 50,000, those that have a right label.
IMAGES = 46_837


def real_labels() -> list[list[int]]:
    """Return the right labels of each image of the validation set, by its number less one."""
    return list(json.loads(info("imagenet_real_labels.json")))


def _label(listing: Listing, path: str) -> Dataset:
    plain = imagenet_dataset(listing, path, KIND)
    of_number = real_labels()
    right: list[tuple[int, ...]] = []
    for image in plain.images:
        number = val_number(image)
        if number is None or not 1 <= number <= len(of_number):
            raise DataError(
                f"{path}: {image}: ReaL's labels are found by file names like "
                "ILSVRC2012_val_00000001.JPEG"
            )
        right.append(tuple(of_number[number - 1]))
    kept = [index for index, labels in enumerate(right) if labels]
    first = tuple(labels[0] if labels else -1 for labels in right)
    labelled = replace(plain, right_labels=tuple(right), labels=first)
    return labelled.chosen(
        kept, f"{len(right) - len(kept):,} images without a right label left out"
    )


SET = LabelSet(KIND, "ReaL's labels of the validation set", IMAGES, None, lambda _: False, _label)
