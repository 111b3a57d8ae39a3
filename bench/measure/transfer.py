"""Copies between host and device while the device computes: pinned memory, streams and events."""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Upload:
    """A batch on its way to the device; ``began`` and ``ended`` are marks of the copy."""

    batch: Tensor
    began: Any = None
    ended: Any = None


@dataclass(frozen=True)
class Download:
    """An output on its way to the host: to be read after ``Transfers.wait`` for ``ended``."""

    output: Tensor
    ended: Any


class Transfers(Protocol):
    """Copies to and from a device, and marks between its work."""

    def upload(self, host: Tensor) -> Upload:
        """Begin to copy a host tensor to the device; return at once."""

    def arrived(self, upload: Upload) -> Tensor:
        """Return the batch on the device; work on it from here on starts after the copy."""

    def download(self, output: Tensor) -> Download:
        """Begin to copy an output to the host, after what computes it; return at once."""

    def mark(self) -> Any:
        """Return a mark in the device's work."""

    def wait(self, mark: Any) -> None:
        """Wait until the device has reached a mark."""

    def seconds(self, began: Any, ended: Any) -> float:
        """Return the device's seconds between two marks that it has reached."""

    def pin(self, host: Tensor) -> bool:
        """Make copies from a host tensor run beside other work; return whether they do."""

    def unpin(self, host: Tensor) -> None:
        """Take that back before the tensor's memory goes."""


class HostTransfers:
    """No copies: the host is the device, and a mark is a time."""

    def upload(self, host: Tensor) -> Upload:
        """Return the tensor itself."""
        now = time.perf_counter()
        return Upload(host, now, now)

    def arrived(self, upload: Upload) -> Tensor:
        """Return the tensor itself."""
        return upload.batch

    def download(self, output: Tensor) -> Download:
        """Return the output itself."""
        return Download(output, time.perf_counter())

    def mark(self) -> float:
        """Return the time."""
        return time.perf_counter()

    def wait(self, mark: Any) -> None:
        """Return: work on a host ends before its call returns."""

    def seconds(self, began: Any, ended: Any) -> float:
        """Return the seconds between two marks."""
        return float(ended - began)

    def pin(self, host: Tensor) -> bool:
        """Return False: nothing is copied."""
        return False

    def unpin(self, host: Tensor) -> None:
        """Do nothing."""


class CudaTransfers:
    """Copies on a stream of their own, so that the next batch arrives while this one is computed.

    Args:
        device: a CUDA device.
        cuda: torch's module, or a stand-in with the same names.
    """

    def __init__(self, device: torch.device, cuda: Any = torch.cuda) -> None:
        self._device = device
        self._cuda = cuda
        self._stream = cuda.Stream(device)

    def upload(self, host: Tensor) -> Upload:
        """Begin to copy a host tensor to the device; return at once."""
        pinned = host if host.is_pinned() else host.pin_memory()
        with self._cuda.stream(self._stream):
            began = self.mark()
            batch = pinned.to(self._device, non_blocking=True)
            ended = self.mark()
        return Upload(batch, began, ended)

    def arrived(self, upload: Upload) -> Tensor:
        """Return the batch on the device; work on it from here on starts after the copy."""
        current = self._cuda.current_stream(self._device)
        current.wait_event(upload.ended)
        upload.batch.record_stream(current)  # its memory is not reused before that has run
        return upload.batch

    def download(self, output: Tensor) -> Download:
        """Begin to copy an output to pinned memory, on the stream that computes it."""
        host = torch.empty(output.shape, dtype=output.dtype, pin_memory=True)
        host.copy_(output, non_blocking=True)
        return Download(host, self.mark())

    def mark(self) -> Any:
        """Record an event on the current stream; waiting for it spares the processor."""
        event = self._cuda.Event(enable_timing=True, blocking=True)
        event.record(self._cuda.current_stream(self._device))
        return event

    def wait(self, mark: Any) -> None:
        """Wait until the device has reached a mark."""
        mark.synchronize()

    def seconds(self, began: Any, ended: Any) -> float:
        """Return the device's seconds between two marks that it has reached."""
        return float(began.elapsed_time(ended)) / 1e3

    def pin(self, host: Tensor) -> bool:
        """Pin a host tensor's memory in place; return whether the driver could."""
        error = self._cuda.cudart().cudaHostRegister(host.data_ptr(), host.nbytes, 0)
        if int(error) == 0:
            return True
        with suppress(RuntimeError):  # torch would report the error at the next kernel's launch
            torch.zeros(1, device=self._device)
        return False

    def unpin(self, host: Tensor) -> None:
        """Unpin it."""
        self._cuda.cudart().cudaHostUnregister(host.data_ptr())
