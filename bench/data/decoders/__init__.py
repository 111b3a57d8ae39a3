"""Decoders: from an encoded image to the uint8 crop that a network sees, one file each.

``pillow`` is the reference, which made the published figures. Another decoder is another key: it
gives other pixels, and now and then another prediction.
"""

from importlib import import_module
from typing import Any, Protocol, cast

from bench.data.preprocess import Pixels
from zoo.entry import Preprocess

DECODERS = {
    "pillow": "bench.data.decoders.pillow:PillowDecoder",
    "torchvision": "bench.data.decoders.torchvision:TorchvisionDecoder",
}


class Decoder(Protocol):
    """Decodes once, and crops as often as there are geometries; any number of threads use it."""

    @property
    def identity(self) -> str:
        """Return its name and the versions that its pixels depend on."""

    def decode(self, data: bytes, preprocess: Preprocess) -> Any:
        """Return the whole image, in the channels that the preprocessing asks for.

        Raises:
            OSError: the data is truncated or no image that it reads.
        """

    def crop(self, image: Any, preprocess: Preprocess) -> Pixels:
        """Resize and crop a decoded image. Returns (height, width, channels) of uint8."""


def open_decoder(name: str) -> Decoder:
    """Return one of the ``DECODERS``."""
    module, _, attribute = DECODERS[name].partition(":")
    return cast(Decoder, getattr(import_module(module), attribute)())
