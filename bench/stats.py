"""Intervals and summaries, on plain numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# A sample is cut into this number of blocks, in the order of time, to see drift and bursts.
_BLOCKS = 10
# What a sample must be worth, in independent values, for its median's error to be known.
_MIN_INDEPENDENT = 5
# The largest first-order autocorrelation that is distinguished from a walk.
_MOST_PHI = 0.98


@dataclass(frozen=True)
class Interval:
    """A closed interval."""

    low: float
    high: float


# Below, the 99th percentile is an extrapolation: of ten steps it would be their maximum, nearly.
P99_MIN_STEPS = 100


@dataclass(frozen=True)
class StepSummary:
    """Seconds per step: median and its relative standard error, quartiles' range, percentiles.

    ``median_rse`` is infinite where it is unknown, and ``p99_s`` None for fewer than
    ``P99_MIN_STEPS`` steps.
    """

    median_s: float
    median_rse: float
    iqr_s: float
    p90_s: float
    p99_s: float | None


def wilson(correct: int, images: int, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval of a proportion (E. B. Wilson, JASA 22, 1927).

    Raises:
        ValueError: no images.
    """
    from scipy.stats import binomtest

    found = binomtest(correct, images).proportion_ci(confidence_level=confidence, method="wilson")
    return Interval(float(found.low), float(found.high))


def summarize(steps_s: Sequence[float]) -> StepSummary:
    """Summarize raw steps, at least one; percentiles interpolate linearly."""
    q25, q50, q75, q90, q99 = (float(q) for q in np.percentile(steps_s, [25, 50, 75, 90, 99]))
    p99_s = q99 if len(steps_s) >= P99_MIN_STEPS else None
    return StepSummary(q50, median_rse(steps_s), q75 - q25, q90, p99_s)


def median_rse(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the relative standard error of the median of a series, as a fraction.

    It is the larger of two estimates. The order statistics n/2 ± 0.98 √(n τ) bound the median at
    95 % (H. A. David, Order Statistics, 1981, section 2.5), where τ is the autocorrelation time: n
    values are worth n/τ independent ones. The medians of ten blocks in the order of time also see
    drift and bursts; they need at least 20 values. Infinity where the values are worth fewer than
    five independent ones: what the series says of its own error is then too uncertain.

    Args:
        values: positive, in the order of time.
    """
    count = len(values)
    if count < _MIN_INDEPENDENT:
        return math.inf
    time = autocorrelation_time(values)
    if count / time < _MIN_INDEPENDENT:
        return math.inf
    ordered = np.sort(values)
    half_width = 0.98 * math.sqrt(count * time)
    low = max(0, math.floor((count - 1) / 2 - half_width))
    high = min(count - 1, math.ceil((count - 1) / 2 + half_width))
    error = float(ordered[high] - ordered[low]) / (2 * 1.96)
    if count >= 2 * _BLOCKS:
        medians = [float(np.median(block)) for block in np.array_split(values, _BLOCKS)]
        error = max(error, float(np.std(medians, ddof=1)) / math.sqrt(_BLOCKS))
    return error / float(np.median(ordered))


def autocorrelation_time(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Return how many values of a series are worth an independent one: 1 if they are independent.

    By the autocorrelation of ranks, which outliers do not move. The larger of two estimates: the
    initial monotone sequence of sums of neighbouring lags (C. J. Geyer, Statistical Science 7,
    1992), and that of a first-order autoregression, (1 + φ)/(1 - φ), whose φ is corrected for the
    bias of a short series (F. H. C. Marriott and J. A. Pope, Biometrika 41, 1954).

    Args:
        values: at least two, in the order of time.
    """
    lags = _rank_autocorrelation(values)
    count = len(lags)
    first = float(lags[1])
    phi = min(max(first + (1 + 3 * first) / count, 0.0), _MOST_PHI)
    even = count // 2 * 2
    sums = np.minimum.accumulate(lags[0:even:2] + lags[1:even:2])
    geyer = 2 * float(sums[sums > 0].sum()) - 1
    return max(1.0, geyer, (1 + phi) / (1 - phi))


def _rank_autocorrelation(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the autocorrelation of ranks at lags 0 to n - 1; of equal values, none but at 0."""
    from scipy.stats import rankdata

    ranks = rankdata(values) - (len(values) + 1) / 2
    if not ranks.any():
        return np.eye(1, len(values))[0]
    power = np.abs(np.fft.rfft(ranks, 2 * len(ranks))) ** 2  # padded: lags must not wrap around
    products = np.fft.irfft(power)[: len(ranks)]
    return np.asarray(products / products[0], np.float64)


def median_in_units(
    steps_s: Sequence[float], stretches: Sequence[int], units_s: Sequence[float]
) -> float:
    """Return the median step in units of the work that ran before and after its stretch.

    Args:
        steps_s: seconds of all steps.
        stretches: how many of them stand between two units; they sum to ``len(steps_s)``.
        units_s: seconds of the unit, one more than stretches.
    """
    units = np.asarray(units_s)
    beside_s = np.repeat((units[:-1] + units[1:]) / 2, stretches)
    return float(np.median(np.asarray(steps_s) / beside_s))


# A new run must lie this far outside by chance once in a hundred untouched runs, at most.
BAND_FALSE_ALARM = 0.01
# With fewer runs Student's t makes a band too wide to see anything: 8 deviations with three.
BAND_MIN_RUNS = 5
# A handful of runs in a row may agree by luck; nothing nearer than this is told apart.
BAND_FLOOR = 0.02


def mcnemar(lost: int, gained: int) -> float:
    """Return the two-sided p value of McNemar's exact test (Q. McNemar, Psychometrika 12, 1947).

    Args:
        lost: images that were right and are wrong now.
        gained: images that were wrong and are right now.
    """
    from scipy.stats import binomtest

    return float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0


def p_of_as_many(count: int, of: int, share: float) -> float:
    """Return the chance of ``count`` or more among ``of``, if each has the chance ``share``."""
    from scipy.stats import binom

    return float(binom.sf(count - 1, of, share))


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of positive values."""
    return float(np.exp(np.log(values).mean()))


def noise_band(runs: Sequence[float], false_alarm: float = BAND_FALSE_ALARM) -> Interval:
    """Return where one further run of the same thing lies, learned from earlier ones.

    Student's prediction interval of the logarithms, ``mean ± t · s · sqrt(1 + 1/n)``, where t
    leaves ``false_alarm`` below (and as much above), and at least ``BAND_FLOOR`` to each side.

    Args:
        runs: positive figures, one a run, at least ``BAND_MIN_RUNS``.
        false_alarm: the share of untouched runs that lie below, a fraction.

    Raises:
        ValueError: too few runs.
    """
    from scipy.stats import t

    center, spread = _of_one_more(runs)
    half = max(t.ppf(1 - false_alarm, len(runs) - 1) * spread, np.log1p(BAND_FLOOR))
    return Interval(float(np.exp(center - half)), float(np.exp(center + half)))


def p_of_run(runs: Sequence[float], run: float) -> float:
    """Return the chance of a further run as far out on its side, or 1 within ``BAND_FLOOR``.

    It is below ``false_alarm`` if the run is outside of ``noise_band(runs, false_alarm)``.

    Raises:
        ValueError: too few runs.
    """
    from scipy.stats import t

    center, spread = _of_one_more(runs)
    apart = abs(math.log(run) - center)
    if apart <= np.log1p(BAND_FLOOR):
        return 1.0
    return float(t.sf(apart / spread, len(runs) - 1)) if spread else 0.0


def _of_one_more(runs: Sequence[float]) -> tuple[float, float]:
    """Return the mean of the runs' logarithms, and the standard deviation of a further one."""
    if len(runs) < BAND_MIN_RUNS:
        raise ValueError(f"{len(runs)} runs, {BAND_MIN_RUNS} needed")
    logs = np.log(runs)
    return float(logs.mean()), float(logs.std(ddof=1) * np.sqrt(1 + 1 / len(runs)))


Verdict = Literal["same", "slower", "faster", "ambiguous"]

# How often the interval of the ratio may miss it, over all looks together.
_ALPHA = 0.01
# With fewer pairs even signs that all agree bound nothing at that error.
MIN_PAIRS = 10
# Parts of the threshold, as a logarithm. A slow-down of the threshold's size is well beyond the
# first, so that it is found though pairs are few and a change seldom measures as it was meant.
SAME_WITHIN = 0.75
CHANGED_BEYOND = 0.5


@dataclass(frozen=True)
class Judgement:
    """How head compares with base: the median ratio of head's seconds to base's, and a verdict.

    The interval contains the true median ratio of pairs with 99 % confidence, however often it was
    looked at; it is None while the pairs are too few to bound it.
    """

    verdict: Verdict
    ratio: float
    interval: Interval | None


def judge(log_ratios: Sequence[float], threshold: float) -> Judgement:
    """Judge pairs of processes, each by the logarithm of head's seconds over base's.

    The interval is the sign test's, as a confidence sequence: it may be looked at after every pair,
    and the pairs may end at any time. If m is the true median, the signs of the pairs' differences
    from m are a fair coin's. The mixture of the likelihoods of all other coins, with the weights of
    Beta(1/2, 1/2), over the fair coin's is then a martingale, which ever reaches 1/0.01 with a
    chance of 0.01 at most (H. Robbins, Annals of Mathematical Statistics 41, 1970; Ville's
    inequality). The interval leaves out every m whose signs reach it. Nothing is supposed of the
    noise's shape, but the pairs have to be independent.

    ``same``: the whole interval is within ``SAME_WITHIN`` of the threshold, so that there is no
    change of its size. ``slower``, ``faster``: it is not, and is wholly beyond ``CHANGED_BEYOND``
    of it. ``ambiguous``: it is too wide for either, or the pairs are fewer than ``MIN_PAIRS``.

    Args:
        log_ratios: one per pair, at least one, finite.
        threshold: the change that must be found, as a fraction: 0.05 is 5 %.
    """
    ordered = sorted(log_ratios)
    ratio = math.exp(median(ordered))
    rank = _rank(len(ordered))
    if rank is None:
        return Judgement("ambiguous", ratio, None)
    bounds = Interval(ordered[rank], ordered[-1 - rank])
    interval = Interval(math.exp(bounds.low), math.exp(bounds.high))
    return Judgement(_verdict(bounds, math.log1p(threshold)), ratio, interval)


@cache
def _rank(pairs: int) -> int | None:
    """Return which order statistic, from 0 and from either end, bounds the median; None if none."""
    from scipy.special import betaln

    def log_evidence(below: int) -> float:
        mixture = betaln(below + 0.5, pairs - below + 0.5) - betaln(0.5, 0.5)
        return float(mixture + pairs * math.log(2))

    ruled_out = sum(log_evidence(r) >= -math.log(_ALPHA) for r in range(pairs // 2 + 1))
    return ruled_out - 1 if ruled_out else None


def _verdict(log_ratio: Interval, line: float) -> Verdict:
    same, changed = SAME_WITHIN * line, CHANGED_BEYOND * line
    if -same < log_ratio.low and log_ratio.high < same:
        return "same"
    if log_ratio.low > changed:
        return "slower"
    if log_ratio.high < -changed:
        return "faster"
    return "ambiguous"
