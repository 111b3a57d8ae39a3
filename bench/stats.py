"""Intervals and summaries, on plain numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A closed interval."""

    low: float
    high: float


@dataclass(frozen=True)
class StepSummary:
    """Seconds a step: median, inter-quartile range and percentiles."""

    median_s: float
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
    return StepSummary(float(q50), float(q75 - q25), float(q90), float(q99))
