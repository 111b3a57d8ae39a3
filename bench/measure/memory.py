"""Peak memory: the allocator's on a GPU, the process's resident set on a CPU."""

import ctypes
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal

import torch

Kind = Literal["cuda_allocator", "process_rss"]


class PeakMemory:
    """Starts a new peak when made; ``peak`` reads it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            _reset_rss_peak()

    def peak(self) -> tuple[int, Kind]:
        """Return the peak in bytes, and what it is the peak of."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device), "cuda_allocator"
        return _rss_peak_bytes(), "process_rss"


def _reset_rss_peak() -> None:
    """Forget the process's earlier peak (Linux; elsewhere the peak is the whole process's)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def resident_bytes_after_trim() -> int:
    """Return the process's resident set without what its allocator holds free (Linux, glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return _status_bytes("VmRSS") or 0


def _status_bytes(name: str) -> int | None:
    """Return a size of this process that Linux tells, or None."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


def _rss_peak_bytes() -> int:
    peak = _status_bytes("VmHWM")
    if peak is not None:
        return peak
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
