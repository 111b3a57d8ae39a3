"""Intervals and summaries, on plain numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A sample is cut into so many blocks, in the order of time, to see drift and bursts.
_BLOCKS = 10


@dataclass(frozen=True)
class Interval:
    """A closed interval."""

    low: float
    high: float


@dataclass(frozen=True)
class StepSummary:
    """Seconds a step: median and its relative standard error, quartiles' range, percentiles."""

    median_s: float
    median_rse: float
    iqr_s: float
    p90_s: float
    p99_s: float


def wilson(correct: int, images: int, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval of a proportion (E. B. Wilson, JASA 22, 1927).

    Raises:
        ValueError: no images.
    """
    from scipy.stats import binomtest

    found = binomtest(correct, images).proportion_ci(confidence_level=confidence, method="wilson")
    return Interval(float(found.low), float(found.high))


def summarize(steps_s: Sequence[float]) -> StepSummary:
    """Summarize raw steps; percentiles interpolate linearly."""
    q25, q50, q75, q90, q99 = np.percentile(steps_s, [25, 50, 75, 90, 99])
    rse = median_rse(steps_s)
    return StepSummary(float(q50), rse, float(q75 - q25), float(q90), float(q99))


def median_rse(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the relative standard error of the median of a series, as a fraction.

    It is the larger of two estimates. Order statistics need no distribution, but take the values
    as independent: the ranks n/2 ± 0.98 √n bound the median at 95 % (H. A. David, Order
    Statistics, 1981, section 2.5). The medians of ten blocks in the order of time also see drift
    and bursts; they need at least 20 values. Of one value nothing is known: infinity.
    """
    count = len(values)
    if count < 2:
        return math.inf
    ordered = np.sort(values)
    half_width = 0.98 * math.sqrt(count)
    low = max(0, math.floor((count - 1) / 2 - half_width))
    high = min(count - 1, math.ceil((count - 1) / 2 + half_width))
    error = float(ordered[high] - ordered[low]) / (2 * 1.96)
    if count >= 2 * _BLOCKS:
        medians = [float(np.median(block)) for block in np.array_split(values, _BLOCKS)]
        error = max(error, float(np.std(medians, ddof=1)) / math.sqrt(_BLOCKS))
    return error / float(np.median(ordered))
