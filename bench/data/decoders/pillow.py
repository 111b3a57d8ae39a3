"""Pillow's decoder and resampling: the reference."""

import PIL
from PIL import Image, features

from bench.data import preprocess as reference
from bench.data.preprocess import Pixels
from zoo.entry import Preprocess


class PillowDecoder:
    """The pixels of ``bench.data.preprocess``."""

    def __init__(self) -> None:
        # Image.draft would be faster for large photographs, and is another decoder.
        jpeg = features.version("libjpeg_turbo") or features.version("jpg")
        self.identity = f"pillow {PIL.__version__} libjpeg {jpeg}"

    def decode(self, data: bytes, preprocess: Preprocess) -> Image.Image:
        """Return the whole image."""
        return reference.decode(data, preprocess)

    def crop(self, image: Image.Image, preprocess: Preprocess) -> Pixels:
        """Resize and crop. Returns (height, width, channels) of uint8."""
        return reference.crop(image, preprocess)
