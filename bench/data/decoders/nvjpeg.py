"""nvJPEG by torchvision: JPEGs are decoded and resized on the GPU. Untested on a GPU."""

from typing import TYPE_CHECKING

from bench.data.decoders.torchvision import TorchvisionDecoder
from zoo.errors import MeasureError

if TYPE_CHECKING:
    from torch import Tensor

_JPEG = [0xFF, 0xD8, 0xFF]


class NvjpegDecoder(TorchvisionDecoder):
    """Like torchvision's, on the GPU; images that are no JPEG are decoded on the CPU."""

    def __init__(self, device: str) -> None:
        if not device.startswith("cuda"):
            raise MeasureError(
                f"decoder 'nvjpeg' runs on CUDA devices only, and this one is {device!r}: "
                "use --decoder pillow or torchvision"
            )
        super().__init__(device)
        self._device = device
        self.identity = f"nvjpeg {self.identity}"

    def _decode(self, data: "Tensor", mode: int) -> "Tensor":
        import torch

        if data[:3].tolist() != _JPEG:
            return super()._decode(data, mode).to(self._device)
        images: list[Tensor] = torch.ops.image.decode_jpegs_cuda(
            [data], mode, torch.device(self._device)
        )
        return images[0]
