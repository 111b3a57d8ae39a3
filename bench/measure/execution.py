"""Where and how a network runs: device, precision, memory format and compilation, in one place."""

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.measure.transfer import CopyStream, Upload
from bench.plan import Settings, resolve_memory_format
from zoo.entry import Preprocess
from zoo.errors import MeasureError, first_line, with_type

_WEIGHT_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_AUTOCAST_DTYPES = {"cuda": torch.float16, "cpu": torch.bfloat16}


def set_fp32_precision(precision: str) -> None:
    """Make fp32 mean IEEE fp32 everywhere, or TF32 if that was asked for.

    torch lets cuDNN use TF32 for convolutions by default, so this is always stated.
    """
    mode = "tf32" if precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = mode
    torch.backends.cudnn.conv.fp32_precision = mode  # type: ignore[attr-defined]
    torch.backends.cudnn.rnn.fp32_precision = mode  # type: ignore[attr-defined]


def check(settings: Settings, device: str) -> None:
    """Raise MeasureError if the device has no such precision."""
    if settings.precision == "tf32" and not device.startswith("cuda"):
        raise MeasureError("precision 'tf32' exists on CUDA devices only; use fp32 or bf16")


class Execution:
    """A network, ready to run as the settings say.

    Args:
        network: in evaluation mode, on the CPU, fp32.
        settings: precision, memory format, compilation.
        device: a resolved torch device.
    """

    def __init__(self, network: nn.Module, settings: Settings, device: str) -> None:
        check(settings, device)
        set_fp32_precision(settings.precision)
        self.device = torch.device(device)
        self.dtype = _WEIGHT_DTYPES.get(settings.precision, torch.float32)
        self.memory_format = (
            torch.channels_last
            if resolve_memory_format(settings, device) == "channels_last"
            else torch.contiguous_format
        )
        amp = settings.precision == "amp"
        self.autocast_dtype = _AUTOCAST_DTYPES[self.device.type] if amp else None
        self.compiled = settings.compile != "eager"
        network = network.to(device=self.device, dtype=self.dtype)
        network = network.to(memory_format=self.memory_format)
        self.network: Any = torch.compile(network) if self.compiled else network
        self._normalisations: dict[object, tuple[Tensor, Tensor]] = {}
        self._copies = CopyStream(self.device) if self.device.type == "cuda" else None

    def place(self, pixels: NDArray[np.uint8], preprocess: Preprocess) -> Tensor:
        """Copy pixels (N, H, W, C) to the device and normalise there. Returns (N, C, H, W)."""
        return self.normalise(self.upload(pixels), preprocess)

    def upload(self, pixels: NDArray[np.uint8]) -> Upload:
        """Begin to copy pixels (N, H, W, C) to the device, beside what it computes."""
        host = torch.from_numpy(pixels)
        return Upload(host) if self._copies is None else self._copies.upload(host)

    def normalise(self, upload: Upload, preprocess: Preprocess) -> Tensor:
        """Return (N, C, H, W), normalised on the device."""
        batch = upload.batch if self._copies is None else self._copies.arrived(upload)
        # (N, H, W, C) uint8 -> (N, C, H, W) fp32; the same operations as torchvision's ToTensor
        # and Normalize, so the same bits.
        batch = batch.permute(0, 3, 1, 2).float()
        if preprocess.scale != 1:
            batch = batch.div_(255)
        mean, std = self._normalisation(preprocess)
        batch = batch.sub_(mean).div_(std)
        return batch.to(self.dtype).contiguous(memory_format=self.memory_format)

    def forward(self, batch: Tensor) -> Tensor:
        """Return what the network makes of a batch; device work may still be under way."""
        with torch.inference_mode(), self.autocast():
            output: Tensor = self.network(batch)
        return output

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which a forward pass has the precision ``amp``, if it is asked."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)

    def synchronize(self) -> None:
        """Wait until the device has done all its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds_of_first_call(self, batch: Tensor) -> float:
        """Run once and return its seconds: compilation, autotuning and allocation included."""
        start = time.perf_counter()
        try:
            self.forward(batch)
            self.synchronize()
        except (torch.OutOfMemoryError, RuntimeError) as error:
            raise explained(error, len(batch), self.device) from error
        return time.perf_counter() - start

    def _normalisation(self, preprocess: Preprocess) -> tuple[Tensor, Tensor]:
        """Return mean and std as (C, H, W), in the pixels' own order.

        With a value a channel, the innermost loop would be over three channels: three times as long
        on a CPU.
        """
        key = (preprocess.mean, preprocess.std, preprocess.crop_px)
        if key not in self._normalisations:
            height, width = preprocess.crop_px
            mean, std = (
                torch.tensor(values, dtype=torch.float32, device=self.device)
                .expand(height, width, -1)
                .contiguous()
                .permute(2, 0, 1)
                for values in (preprocess.mean, preprocess.std)
            )
            self._normalisations[key] = (mean, std)
        return self._normalisations[key]


# The words of CUDA's runtime for the errors that, by its documentation, leave the
# process in an inconsistent state: all further work fails until it is relaunched.
_STICKY = (
    "an illegal memory access was encountered",
    "an illegal instruction was encountered",
    "device-side assert triggered",
    "exception was encountered on external device",
    "hardware stack error",
    "invalid program counter",
    "misaligned address",
    "operation not supported on global/shared address space",
    "the launch timed out and was terminated",
    "uncorrectable ECC error encountered",
    "uncorrectable NVLink error detected during the execution",
    "unspecified launch failure",
    # What the libraries make of them.
    "CUBLAS_STATUS_EXECUTION_FAILED",
    "CUDNN_STATUS_EXECUTION_FAILED",
)


def is_sticky(error: BaseException | None) -> bool:
    """Return whether an error, or what it was made of, ends all use of CUDA by this process.

    Running out of memory does not.
    """
    while error is not None:
        if isinstance(error, RuntimeError) and any(words in str(error) for words in _STICKY):
            return True
        error = error.__cause__ or error.__context__
    return False


def explained(
    error: RuntimeError | MemoryError, batch_size: int, device: torch.device
) -> MeasureError:
    """Turn a failure of the network's forward pass into the row's reason."""
    out_of_memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if out_of_memory or "can't allocate memory" in str(error):
        return MeasureError(f"out of memory at batch {batch_size} on {device}: {first_line(error)}")
    return MeasureError(f"the forward pass failed: {with_type(error)}")
