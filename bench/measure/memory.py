"""Peak memory: the allocator's on a GPU, the process's resident set on a CPU."""

import ctypes
import mmap
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
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


def map_files_as(process: int) -> None:
    """Map the pages of files that another process has mapped, at the same addresses.

    A fork inherits its parent's anonymous pages, but maps those of files, which are the libraries'
    code and constants, only as it touches them: 0.3 GB of what a process that had imported torch
    itself would have are missing from its resident set. So this touches them, on Linux; on
    other systems the resident set lacks them.

    Args:
        process: the fork server.
    """
    with suppress(OSError), Path(f"/proc/{process}/pagemap").open("rb", buffering=0) as page_map:
        for start, end, _ in sorted(_file_mappings(process) & _file_mappings("self")):
            page_map.seek(start // mmap.PAGESIZE * 8)
            entries = np.frombuffer(page_map.read((end - start) // mmap.PAGESIZE * 8), np.uint64)
            memory = np.ctypeslib.as_array((ctypes.c_uint8 * (end - start)).from_address(start))
            is_present = entries >> np.uint64(63) == 1  # bit 63 of an entry of pagemap
            memory[:: mmap.PAGESIZE][is_present].max(initial=0)


def _file_mappings(process: int | str) -> set[tuple[int, int, str]]:
    """Return the (start, end, file and offset) of a process's readable mappings of files."""
    found = set()
    for line in Path(f"/proc/{process}/maps").read_text().splitlines():
        addresses, permissions, offset, device, inode, *_ = line.split(maxsplit=5)
        if permissions.startswith("r") and inode != "0":
            start, end = (int(address, 16) for address in addresses.split("-"))
            found.add((start, end, f"{device} {inode} {offset}"))
    return found


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
