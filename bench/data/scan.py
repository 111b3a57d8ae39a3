"""What every image of a dataset is: read, hashed and decoded once, by as many threads as cores."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.conditions import cores
from bench.data.dataset import Dataset
from bench.data.preprocess import LARGEST_RESIZED_PX, UNREADABLE, oddity, open_raster
from zoo.errors import first_line

# To which a shorter side is resized at least; a strip for which that is too much is not evaluated.
_TYPICAL_PX = 224


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What one image is; without size and mode, and with a reason, if it cannot be decoded."""

    sha256: bytes
    size_bytes: int
    size_px: tuple[int, int] | None = None  # width, height
    mode: str | None = None
    format: str | None = None
    reason: str | None = None
    odd: str | None = None  # why the pixels are not what they seem


def scan(dataset: Dataset, progress: Callable[[int, int], None]) -> list[ImageFacts]:
    """Return the facts of all images, in their order; ``progress`` takes (done, total)."""
    found: list[ImageFacts] = []
    with ThreadPoolExecutor(cores()) as pool:
        for facts in pool.map(lambda index: _facts(dataset, index), range(len(dataset))):
            found.append(facts)
            progress(len(found), len(dataset))
    return found


def content_sha256(facts: list[ImageFacts]) -> str:
    """Return the digest that an evaluation of the whole dataset keeps as ``content_sha256``."""
    return hashlib.sha256(b"".join(image.sha256 for image in facts)).hexdigest()


def _facts(dataset: Dataset, index: int) -> ImageFacts:
    try:
        data = dataset.read(index)
    except OSError as error:
        return ImageFacts(bytes(32), 0, reason=error.strerror or first_line(error))
    digest = hashlib.sha256(data).digest()
    if not data:
        return ImageFacts(digest, 0, reason="zero bytes")
    try:
        with open_raster(data) as image:
            image.load()
            size, mode, form = image.size, image.mode, image.format
        if min(size) * LARGEST_RESIZED_PX < max(size) * _TYPICAL_PX**2:
            return ImageFacts(digest, len(data), reason=f"a strip of {size[0]}x{size[1]} px")
        return ImageFacts(digest, len(data), size, mode, form, odd=oddity(data))
    except UNREADABLE as error:
        return ImageFacts(digest, len(data), reason=first_line(error))
