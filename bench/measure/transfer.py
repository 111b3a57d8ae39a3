"""Copies to a GPU beside what it computes: pinned memory and a stream. Untested on a GPU."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Upload:
    """A batch on its way to the device, and the event after which it is there (None: it is)."""

    batch: Tensor
    copied: Any = None


class CopyStream:
    """Copies host tensors on a stream of its own, so that the next batch arrives in time.

    Args:
        device: a CUDA device.
        cuda: torch's module, or a stand-in with the same names.
    """

    def __init__(self, device: torch.device, cuda: Any = torch.cuda) -> None:
        self._device = device
        self._cuda = cuda
        self._stream = cuda.Stream(device)

    def upload(self, host: Tensor) -> Upload:
        """Begin to copy; returns at once."""
        pinned = host.pin_memory()  # only from there does the copy run beside computing
        with self._cuda.stream(self._stream):
            batch = pinned.to(self._device, non_blocking=True)
            copied = self._cuda.Event()
            copied.record(self._stream)
        return Upload(batch, copied)

    def arrived(self, upload: Upload) -> Tensor:
        """Return the batch; what is computed with it from here on waits for the copy."""
        current = self._cuda.current_stream(self._device)
        current.wait_event(upload.copied)
        upload.batch.record_stream(current)  # its memory is not reused before that has run
        return upload.batch
