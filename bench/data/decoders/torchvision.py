"""torchvision's decoder and antialiased resize on uint8 tensors: other pixels, in half the time."""

from typing import TYPE_CHECKING

from PIL import Image

from bench.data.preprocess import Pixels, cropped, resized_px
from zoo.entry import Preprocess
from zoo.errors import MeasureError, first_line

if TYPE_CHECKING:
    from torch import Tensor

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic")


class TorchvisionDecoder:
    """JPEG, PNG, GIF and WebP by torchvision's own libraries, on a CPU core a call."""

    def __init__(self, device: str) -> None:
        import torch
        import torchvision.io  # loads the operators that _decode calls

        # How uint8 tensors are resized depends on torch's release.
        self.identity = f"torchvision {torchvision.__version__} torch {torch.__version__}"

    def decode(self, data: bytes, preprocess: Preprocess) -> "Tensor":
        """Return the whole image, uint8 (channels, height, width).

        Raises:
            OSError: the data is truncated, or no image that torchvision reads.
        """
        import torch
        from torchvision.io import ImageReadMode

        if not data:
            raise OSError("the file is empty")
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

        # The operator below torchvision.io.decode_image, which warns of itself since 0.29.
        image: Tensor = torch.ops.image.decode_image(data, mode, False)
        return image
