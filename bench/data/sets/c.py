"""ImageNet-C: the validation set's images, corrupted in 15 ways at 5 severities.

One condition is one dataset, ``C/gaussian_noise/3``; the whole has 75, and ``C`` stands for those
that are there. The mean corruption error is made of all of them, in reports.
"""

from dataclasses import replace
from pathlib import Path

from bench.data.dataset import Dataset, LabelSet
from bench.data.labels import VAL_IMAGES
from bench.data.listing import Listing
from bench.data.sets.imagenet import imagenet_dataset
from zoo.errors import DataError
from zoo.imagenet_c import CORRUPTIONS, EXTRA_CORRUPTIONS, KIND, SEVERITIES

_KNOWN = {*CORRUPTIONS, *EXTRA_CORRUPTIONS}


def conditions(root: str) -> list[str]:
    """Return the conditions' folders below ImageNet-C's root; [] if it is none."""
    path = Path(root).expanduser()
    return [
        str(path / corruption / str(severity))
        for corruption in (*CORRUPTIONS, *EXTRA_CORRUPTIONS)
        for severity in SEVERITIES
        if (path / corruption / str(severity)).is_dir()
    ]


def _condition(listing: Listing) -> tuple[str, str] | None:
    path = listing.root.absolute()
    found = path.parent.name, path.name
    known = found[0] in _KNOWN and found[1] in {str(severity) for severity in SEVERITIES}
    return found if known else None


def _knows(listing: Listing) -> bool:
    return _condition(listing) is not None


def _label(listing: Listing, path: str) -> Dataset:
    condition = _condition(listing)
    if condition is None:
        raise DataError(
            f"{path}: expected a corruption and a severity, like gaussian_noise/3 "
            f"(corruptions: {', '.join(sorted(_KNOWN))}; severities: 1 to 5)"
        )
    corruption, severity = condition
    dataset = imagenet_dataset(listing, path, f"{KIND}/{corruption}/{severity}")
    return replace(dataset, name=f"{corruption}/{severity}")


SET = LabelSet(KIND, "ImageNet-C, one condition", VAL_IMAGES, 50, _knows, _label)
