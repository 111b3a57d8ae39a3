"""The sample set: the 20 labelled ImageNet photographs that the package foolbox carries."""

import re
from importlib.util import find_spec
from pathlib import Path

from bench.data.dataset import IMAGENET_CLASSES, Dataset
from zoo.errors import DataError, MissingExtraError


def open_sample(name: str, *, labels: str) -> Dataset:
    """List ``foolbox/data/imagenet_NN_LABEL.jpg``, found without importing foolbox.

    Raises:
        MissingExtraError: foolbox is not installed.
        DataError: labels other than ImageNet's were asked for.
    """
    if labels != "imagenet":
        raise DataError("the sample set has ImageNet's labels; leave out --labels")
    spec = find_spec("foolbox")
    if spec is None or spec.origin is None:
        raise MissingExtraError("the sample set", "foolbox", "sample")
    root = Path(spec.origin).parent / "data"
    found = sorted(root.glob("imagenet_*_*.jpg"))
    if not found:
        raise DataError(f"{root}: this release of foolbox carries no imagenet_NN_LABEL.jpg")
    return Dataset(
        name=name,
        kind="sample",
        root=root,
        images=tuple(path.name for path in found),
        labels=tuple(int(re.sub(r".*_(\d+)\.jpg", r"\1", path.name)) for path in found),
        sizes=tuple(path.stat().st_size for path in found),
        classes=IMAGENET_CLASSES,
        note="a sample, no ImageNet figure",
    )
