"""What every image of a dataset is: read, hashed and decoded once, by as many threads as cores."""

import hashlib
import io
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image

from bench.conditions import cores
from bench.data.dataset import Dataset
from bench.data.preprocess import UNREADABLE
from zoo.errors import first_line


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What one image is; without size and mode, and with a reason, if it cannot be decoded."""

    sha256: bytes
    size_bytes: int
    size_px: tuple[int, int] | None = None  # width, height
    mode: str | None = None
    format: str | None = None
    reason: str | None = None


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                return ImageFacts(digest, len(data), image.size, image.mode, image.format)
    except UNREADABLE as error:
        reason = (
            "no image" if isinstance(error, Image.UnidentifiedImageError) else first_line(error)
        )
        return ImageFacts(digest, len(data), reason=reason)
