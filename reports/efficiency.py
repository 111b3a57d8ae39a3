"""How well a timed measurement used its GPU: power, energy, clock, launches, share of its peak."""

from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import Any

import numpy as np
import pandas as pd

from bench.records import GpuSample, Record, Throughput, Timed

# Launching a step takes this share of the device's time for it, or more: the host sets the pace.
LAUNCH_BOUND_FROM = 0.9
# The clock varies if its quartiles are further apart, as a share of its median.
CLOCK_SPREAD = 0.10


def gpu_columns(evidence: Timed) -> dict[str, Any]:
    """Return what NVML saw while the steps ran; nothing of a measurement without a GPU.

    ``watts`` is the mean and ``sm_mhz`` the median of the samples during the steps;
    ``sm_mhz_spread`` is the distance of the clock's quartiles as a share of its median.
    ``energy_j_per_image`` is of the GPU's own counter; a counter that stood still is absent.
    """
    gpu = evidence.gpu
    if gpu is None:
        return {}
    during = _during(evidence)
    watts = [sample.power_w for sample in during if sample.power_w is not None]
    clocks = _clocks(during)
    images = evidence.batch_size * len(evidence.steps_s)
    return {
        "throttled_steps": _count(gpu.throttled_steps),
        "power_capped_steps": _count(gpu.power_capped_steps),
        "watts": fmean(watts) if watts else None,
        "sm_mhz": median(clocks) if clocks else None,
        "sm_mhz_spread": _spread(clocks),
        "energy_j_per_image": gpu.energy_j / images if gpu.energy_j else None,
    }


def is_disturbed(evidence: Timed) -> bool:
    """Return whether the GPU's clock varied during the steps, or heat or hardware lowered it.

    A clock at the power limit does neither by itself.
    """
    if evidence.gpu is None:
        return False
    spread = _spread(_clocks(_during(evidence))) or 0
    return bool(evidence.gpu.throttled_steps) or spread > CLOCK_SPREAD


def launch_columns(evidence: Throughput) -> dict[str, Any]:
    """Return the median seconds of launching a step, and whether they set the pace."""
    if not evidence.launch_s:
        return {}
    launch_s = median(evidence.launch_s)
    bound = launch_s >= LAUNCH_BOUND_FROM * median(evidence.steps_s)
    return {"launch_s": launch_s, "launch_bound": bound}


def other_processes(records: Iterable[Record]) -> int | None:
    """Return the largest number of other processes that had the GPU while a row was measured.

    Counting networks does not use the GPU, so those records are left out.
    """
    found: list[int | None] = []
    for record in records:
        if record.measure != "complexity":
            found.append((record.conditions.get("gpu") or {}).get("other_processes"))
        if isinstance(record.evidence, Timed) and record.evidence.gpu:
            found += [sample.other_processes for sample in record.evidence.gpu.samples]
    return max((count for count in found if count is not None), default=None)


def mfu(row: dict[str, Any], throughput: Record | None) -> float | None:
    """Return model FLOPs utilisation: 2 · MACs · images/s over the device's peak, as a fraction.

    The peak is that of matrix products, measured on the same device at the same precision
    (``conditions["matmul_peak_tflops"]``, in 1e12 operations/s).

    Args:
        row: has ``macs`` of one image and ``images_per_s``, if they were measured.
        throughput: the record that the speed is from.
    """
    peak = throughput.conditions.get("matmul_peak_tflops") if throughput else None
    if not peak or pd.isna(row.get("macs")) or pd.isna(row.get("images_per_s")):
        return None
    return float(2 * row["macs"] * row["images_per_s"] / (peak * 1e12))


def _during(evidence: Timed) -> list[GpuSample]:
    """Return the samples between the beginning of the first step and the end of the last."""
    assert evidence.gpu is not None
    return [sample for sample in evidence.gpu.samples if 0 <= sample.at_s <= evidence.wall_s]


def _clocks(samples: Sequence[GpuSample]) -> list[int]:
    return [sample.sm_mhz for sample in samples if sample.sm_mhz is not None]


def _spread(clocks: Sequence[int]) -> float | None:
    """Return the distance of the quartiles as a share of the median; None without a clock."""
    if not clocks:
        return None
    low, middle, high = np.percentile(clocks, [25, 50, 75])
    return float((high - low) / middle)


def _count(steps: tuple[int, ...] | None) -> int | None:
    return None if steps is None else len(steps)
