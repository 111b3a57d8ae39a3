"""Intervals and summaries, on plain numbers."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

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

# When paired rounds are looked at: after so many, and then after half as many again.
FIRST_LOOK = 30
_LOOKS_GROW = 1.5
# How often all looks together may miss the true ratio; half of it is for the last look.
_ALPHA = 0.01
# Parts of the threshold, as a logarithm. A slow-down of the threshold's size lies well beyond the
# first, so that it is found though rounds are few and a change seldom measures as it was meant.
SAME_WITHIN = 0.75
CHANGED_BEYOND = 0.5


@dataclass(frozen=True)
class Judgement:
    """How head compares with base: the median ratio of head's seconds to base's, and a verdict.

    The interval holds the true median ratio with 99 % confidence, however many looks there were;
    it is None while the rounds are too few to bound it.
    """

    verdict: Verdict
    ratio: float
    interval: Interval | None


def next_look(rounds: int) -> int:
    """Return after how many rounds, more than so many, the next look is due."""
    return next(size for size in _look_sizes() if size > rounds)


def judge(log_ratios: Sequence[float], threshold: float, *, last: bool) -> Judgement:
    """Judge paired rounds, each the logarithm of head's seconds over base's.

    The interval of the median is the sign test's, which supposes no shape of the noise (Conover,
    Practical Nonparametric Statistics, 1999, section 3.2). Looks come at set sizes, whatever was
    seen, and share an error of 0.01 (Bonferroni's bound, spent look by look as Lan and DeMets do,
    Biometrika 70, 1983): the k-th has 0.005/(k(k+1)), which sums to at most 0.005, and the last
    one, when the budget is spent, has 0.005.

    ``same``: the whole interval lies within ``SAME_WITHIN`` of the threshold, so that no change of
    its size is there. ``slower``, ``faster``: it does not, and lies wholly beyond
    ``CHANGED_BEYOND`` of it. ``ambiguous``: it is too wide for either.

    Args:
        log_ratios: one a round, at least one.
        threshold: the change that must be found, as a fraction: 0.05 is 5 %.
        last: no further look will come.
    """
    ratio = float(np.exp(np.median(log_ratios)))
    bounds = _median_interval(log_ratios, 1 - _error_of_look(len(log_ratios), last=last))
    if bounds is None:
        return Judgement("ambiguous", ratio, None)
    interval = Interval(float(np.exp(bounds.low)), float(np.exp(bounds.high)))
    return Judgement(_verdict(bounds, float(np.log1p(threshold))), ratio, interval)


def conclude(log_ratios: Sequence[float], threshold: float) -> Judgement:
    """Judge rounds that have ended: at a look that was clear, or else because of the budget."""
    found = judge(log_ratios, threshold, last=False)
    return judge(log_ratios, threshold, last=True) if found.verdict == "ambiguous" else found


def conclude_row(
    first: Sequence[float], again: Sequence[float], threshold: float
) -> tuple[Verdict, Judgement]:
    """Judge a row by its rounds, and by those of fresh processes where the first found a change.

    A process may be slow for as long as it lives, because its threads share a core with a
    neighbour's; its own rounds, however many, do not show that. So a change is one that both series
    find; else the second has the last word, and opposite changes are ambiguous. Returned with the
    verdict is the judgement of the last series, whose ratio did not decide that it be taken.

    Args:
        first: the logarithm of head's seconds over base's, one a round.
        again: the same of fresh processes; empty if there were none.
        threshold: the change that must be found, as a fraction.
    """
    found = conclude(first, threshold)
    if not again:
        return found.verdict, found
    last = conclude(again, threshold)
    return together(found, last), last


def together(change: Judgement, last: Judgement) -> Verdict:
    """Return the verdict of a row whose first series found a change."""
    opposite = is_change(last) and last.verdict != change.verdict
    return "ambiguous" if opposite else last.verdict


def is_change(found: Judgement) -> bool:
    """Return whether the verdict is slower or faster."""
    return found.verdict in ("slower", "faster")


def _verdict(log_ratio: Interval, line: float) -> Verdict:
    same, changed = SAME_WITHIN * line, CHANGED_BEYOND * line
    if -same < log_ratio.low and log_ratio.high < same:
        return "same"
    if log_ratio.low > changed:
        return "slower"
    if log_ratio.high < -changed:
        return "faster"
    return "ambiguous"


def _look_sizes() -> Iterator[int]:
    size = FIRST_LOOK
    while True:
        yield size
        size = math.ceil(_LOOKS_GROW * size)


def _error_of_look(rounds: int, *, last: bool) -> float:
    """Return what the look after so many rounds may spend of the error."""
    if last:
        return _ALPHA / 2
    look = 1 + sum(1 for _ in takewhile(lambda size: size < rounds, _look_sizes()))
    return _ALPHA / 2 / (look * (look + 1))


def _median_interval(values: Sequence[float], confidence: float) -> Interval | None:
    """Return the interval between order statistics, or None if there are too few."""
    from scipy.stats import quantile_test

    found = quantile_test(values, p=0.5).confidence_interval(confidence_level=confidence)
    return (
        None if math.isnan(found.low) or math.isnan(found.high) else Interval(found.low, found.high)
    )
