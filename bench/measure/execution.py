"""Where and how a network runs: device, precision, memory format and compilation, in one place."""

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.measure.transfer import CudaTransfers, HostTransfers, Transfers
from bench.plan import Settings, resolve_memory_format
from bench.records import Compilation
from zoo.entry import Preprocess
from zoo.errors import MeasureError, first_line, with_type

_WEIGHT_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_AUTOCAST_DTYPES = {"cuda": torch.float16, "cpu": torch.bfloat16}

# What torch, cuDNN, cuBLAS and the driver say instead of torch.OutOfMemoryError when memory is
# short: cuDNN's plan search swallows the allocator's error and then finds no engine.
_OUT_OF_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "ALLOC_FAILED",
    "unable to find an engine",
)
# A kernel that indexes with 32 bits refuses a batch whose tensors have more elements.
_TOO_LARGE = ("canUse32BitIndexMath",)
# The words of CUDA's runtime for the errors of which its documentation says that they leave the
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


def set_fp32_precision(precision: str) -> None:
    """Make fp32 mean IEEE fp32 in every library, or TF32 if that was asked for.

    torch lets cuDNN use TF32 for convolutions by default, so this is always stated. These two
    switches leave every other way to read or set TF32 legal from torch 2.9 on; the newer
    ``fp32_precision`` makes ``torch.backends.cudnn.flags(...)``, which networks use, raise.
    """
    allowed = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def check(settings: Settings, device: str) -> None:
    """Raise MeasureError if the device does not have the precision."""
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
        network = network.to(device=self.device, dtype=self.dtype)
        network = network.to(memory_format=self.memory_format)
        compiler, _, mode = settings.compile.partition(":")
        self._mode = mode or None
        self._compiler = _Compiler() if compiler == "inductor" else None
        self.network: Any = torch.compile(network, mode=self._mode) if self.compiled else network
        self._normalisations: dict[object, tuple[Tensor, Tensor]] = {}
        on_gpu = self.device.type == "cuda"
        self.transfers: Transfers = CudaTransfers(self.device) if on_gpu else HostTransfers()

    @property
    def compiled(self) -> bool:
        """Return whether torch.compile's code runs."""
        return self._compiler is not None

    def compilation(self) -> Compilation | None:
        """Return what torch.compile has done so far, or None if it was not asked for."""
        return None if self._compiler is None else self._compiler.done()

    def place(self, pixels: NDArray[np.uint8], preprocess: Preprocess) -> Tensor:
        """Copy pixels (N, H, W, C) to the device and normalise there. Returns (N, C, H, W)."""
        upload = self.transfers.upload(torch.from_numpy(pixels))
        return self.normalise(self.transfers.arrived(upload), preprocess)

    def noise(self, size: int, preprocess: Preprocess) -> Tensor:
        """Return ``size`` images of noise made on the device, (N, C, H, W), normalised."""
        generator = torch.Generator(self.device).manual_seed(0)
        shape = (size, *preprocess.crop_px, preprocess.input_channels)
        pixels = torch.randint(
            256, shape, generator=generator, dtype=torch.uint8, device=self.device
        )
        return self.normalise(pixels, preprocess)

    def normalise(self, pixels: Tensor, preprocess: Preprocess) -> Tensor:
        """Return (N, C, H, W), normalised, of pixels (N, H, W, C) of uint8 on the device."""
        # The same operations as torchvision's ToTensor and Normalize, so the same bits.
        batch = pixels.permute(0, 3, 1, 2).float()
        if preprocess.scale != 1:
            batch = batch.div_(255)
        mean, std = self._normalisation(preprocess)
        batch = batch.sub_(mean).div_(std)
        return batch.to(self.dtype).contiguous(memory_format=self.memory_format)

    def forward(self, batch: Tensor) -> Tensor:
        """Return the network's output for a batch; device work may still be under way."""
        if self._mode == "reduce-overhead":
            # The graph of the last step may overwrite its output from here on.
            torch.compiler.cudagraph_mark_step_begin()
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

        With one value per channel, the innermost loop would be over three channels: three times as
        long on a CPU.
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


class _Compiler:
    """What torch.compile does from here on in this process: it counts globally."""

    def __init__(self) -> None:
        from torch._dynamo.utils import counters

        counters.clear()
        self._seconds_before = self._total_s()

    def done(self) -> Compilation:
        """Return the seconds, graphs and graph breaks so far."""
        from torch._dynamo.utils import counters

        breaks = {
            (reason.strip().splitlines() or ["no reason given"])[0]: count
            for reason, count in counters["graph_break"].items()
        }
        return Compilation(
            seconds=self._total_s() - self._seconds_before,
            graphs=counters["stats"]["unique_graphs"],
            graph_breaks=breaks,
        )

    def _total_s(self) -> float:
        from torch._dynamo.utils import calculate_time_spent

        return float(calculate_time_spent().get("total_wall_time", 0.0))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the batch does not fit into memory."""
    typed = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return typed or any(words in str(error) for words in _OUT_OF_MEMORY)


def does_not_fit(error: BaseException) -> bool:
    """Return whether a smaller batch may run where this one raised the error."""
    return is_out_of_memory(error) or any(words in str(error) for words in _TOO_LARGE)


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
    if is_out_of_memory(error):
        return MeasureError(f"out of memory at batch {batch_size} on {device}: {first_line(error)}")
    if does_not_fit(error):
        return MeasureError(
            f"batch {batch_size} is too large for 32-bit indexing on {device}: {first_line(error)}"
        )
    return MeasureError(f"the forward pass failed: {with_type(error)}")
