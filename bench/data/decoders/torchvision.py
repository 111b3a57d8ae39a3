"""torchvision's decoder and antialiased resize on uint8 tensors: other pixels, in half the time."""

from typing import TYPE_CHECKING

import PIL
from PIL import Image

from bench.data import preprocess as reference
from bench.data.preprocess import Pixels, cropped, is_jpeg, open_raster, resized_px
from zoo.entry import Preprocess
from zoo.errors import MeasureError, first_line

if TYPE_CHECKING:
    from torch import Tensor

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic")


class TorchvisionDecoder:
    """JPEG by torchvision's own library, on a CPU core a call; other formats by the reference.

    Of those, torchvision reads a few, other pixels than the reference of 16 bits and of animations,
    and it crashes on some damaged PNGs.
    """

    def __init__(self) -> None:
        import torch
        import torchvision.io  # loads the operators that _decode calls

        # How uint8 tensors are resized depends on torch's release.
        self.identity = (
            f"torchvision {torchvision.__version__} torch {torch.__version__} "
            f"pillow {PIL.__version__}"
        )

    def decode(self, data: bytes, preprocess: Preprocess) -> "Tensor":
        """Return the whole image, uint8 (channels, height, width).

        Raises:
            OSError: the data is truncated, or not an image that is read.
            ValueError, SyntaxError, DecompressionBombError: as the reference.
        """
        import torch
        from torchvision.io import ImageReadMode
        from torchvision.transforms.functional import pil_to_tensor

        if not is_jpeg(data):
            other: Tensor = pil_to_tensor(reference.decode(data, preprocess))
            return other
        with open_raster(data):
            pass  # what the reference refuses by its header, this decoder does not try
        mode = ImageReadMode.GRAY if preprocess.channels == "gray" else ImageReadMode.RGB
        try:
            return self._decode(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode.value)
        except RuntimeError as error:
            raise OSError(first_line(error)) from None

    def crop(self, image: "Tensor", preprocess: Preprocess) -> Pixels:
        """Resize and crop. Returns (height, width, channels) of uint8.

        Raises:
            MeasureError: tensors have no such interpolation.
        """
        from torchvision.transforms.v2.functional import InterpolationMode, resize

        if preprocess.interpolation not in _INTERPOLATIONS:
            raise MeasureError(
                f"decoder {self.identity.split()[0]!r} has no {preprocess.interpolation!r} "
                "interpolation: use --decoder pillow"
            )
        size = list(resized_px((image.shape[1], image.shape[2]), preprocess))
        mode = InterpolationMode(preprocess.interpolation)
        resized = resize(image, size, mode, antialias=preprocess.antialias)
        pixels = resized.permute(1, 2, 0).squeeze(2).contiguous().cpu().numpy()
        return cropped(Image.fromarray(pixels), preprocess)

    def _decode(self, data: "Tensor", mode: int) -> "Tensor":
        import torch

        # The operator below torchvision.io.decode_jpeg, which warns of itself since 0.29.
        image: Tensor = torch.ops.image.decode_jpeg(data, mode, False)
        return image
