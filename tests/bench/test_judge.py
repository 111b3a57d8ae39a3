"""Verdicts of paired rounds: how often they err, and what they depend on."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from bench.stats import FIRST_LOOK, Verdict, conclude, conclude_row, judge, next_look

THRESHOLD = 0.05
LAST_ROUND = 600
log_ratios = st.lists(st.floats(-1, 1), min_size=1, max_size=120)


def _run(series: NDArray[np.float64]) -> Verdict:
    """Look at a series as a comparison does, and return how it ends."""
    due = next_look(0)
    while due <= len(series):
        found = judge(series[:due].tolist(), THRESHOLD, last=False)
        if found.verdict != "ambiguous":
            return found.verdict
        due = next_look(due)
    return judge(series.tolist(), THRESHOLD, last=True).verdict


def _verdicts(ratio: float, noise: NDArray[np.float64]) -> list[Verdict]:
    return [_run(log(ratio) + row) for row in noise]


@pytest.fixture(scope="module")
def noise() -> NDArray[np.float64]:
    """120 comparisons of 600 rounds: heavy tails, and bursts that last ten rounds, as of a load."""
    random = np.random.default_rng(0)
    bursts = np.repeat(random.choice([1, 5], (120, LAST_ROUND // 10), p=[0.8, 0.2]), 10, axis=1)
    return 0.04 * bursts * random.standard_t(3, (120, LAST_ROUND))


def test_an_untouched_pair_hardly_ever_alarms(noise: NDArray[np.float64]) -> None:
    verdicts = _verdicts(1, noise)
    assert verdicts.count("slower") + verdicts.count("faster") <= 1
    assert verdicts.count("same") >= 114


@pytest.mark.parametrize(("ratio", "verdict"), [(1.05, "slower"), (1 / 1.05, "faster")])
def test_a_change_of_the_threshold_is_found(
    noise: NDArray[np.float64], ratio: float, verdict: Verdict
) -> None:
    assert _verdicts(ratio, noise).count(verdict) >= 114


@pytest.mark.parametrize("ratio", [1.045, 1 / 1.045])
def test_a_change_that_measures_a_little_below_the_threshold_is_not_called_same(
    noise: NDArray[np.float64], ratio: float
) -> None:
    """A change of 5 % by its work measured as 4.4 % here, and must not be lost on the line."""
    assert _verdicts(ratio, noise).count("same") <= 1


def test_half_the_threshold_is_no_alarm(noise: NDArray[np.float64]) -> None:
    """On the line itself the looks together may err with a half of one percent."""
    assert _verdicts(1.05**0.5, noise).count("slower") <= 3


def test_the_interval_is_the_sign_tests() -> None:
    """At the first look it ends at the order statistics that leave 0.25 % / 2 outside on a side."""
    values = np.random.default_rng(1).normal(0, 0.1, FIRST_LOOK)
    outside = int(binom.ppf(0.0025 / 2, FIRST_LOOK, 0.5)) - 1
    interval = judge(values.tolist(), THRESHOLD, last=False).interval
    assert interval is not None
    assert log(interval.low) == pytest.approx(np.sort(values)[outside])
    assert log(interval.high) == pytest.approx(np.sort(values)[-1 - outside])


@given(log_ratios)
def test_exchanged_sides_exchange_the_verdict(values: list[float]) -> None:
    opposite: dict[Verdict, Verdict] = {"slower": "faster", "faster": "slower"}
    there, back = conclude(values, 0.05), conclude([-value for value in values], 0.05)
    assert back.verdict == opposite.get(there.verdict, there.verdict)
    assert back.ratio == pytest.approx(1 / there.ratio)


@given(log_ratios, st.permutations(range(5)))
def test_the_order_of_rounds_does_not_matter(values: list[float], order: list[int]) -> None:
    shuffled = [v for i in order for v in values[i::5]]
    assert conclude(shuffled, 0.05) == conclude(values, 0.05)


@given(log_ratios)
def test_the_ratio_lies_in_its_interval(values: list[float]) -> None:
    found = conclude(values, 0.05)
    if found.interval:
        assert found.interval.low <= found.ratio <= found.interval.high


@given(log_ratios, st.floats(0.001, 0.5), st.floats(0, 0.5))
def test_what_is_within_a_threshold_is_within_a_larger_one(
    values: list[float], threshold: float, more: float
) -> None:
    if judge(values, threshold, last=True).verdict == "same":
        assert judge(values, threshold + more, last=True).verdict == "same"


@pytest.mark.parametrize(
    ("first", "again", "verdict"),
    [
        (0.0, None, "same"),
        (0.1, 0.1, "slower"),
        (-0.1, -0.1, "faster"),
        (0.1, 0.0, "same"),  # a process that was slow all its life
        (0.1, -0.1, "ambiguous"),
    ],
)
def test_a_change_is_what_fresh_processes_find_too(
    first: float, again: float | None, verdict: Verdict
) -> None:
    rounds = [] if again is None else [again] * FIRST_LOOK
    found, judged = conclude_row([first] * FIRST_LOOK, rounds, THRESHOLD)
    assert found == verdict
    assert log(judged.ratio) == pytest.approx(first if again is None else again)


def test_too_few_rounds_are_ambiguous_without_an_interval() -> None:
    found = conclude([0.0] * 5, 0.05)
    assert (found.verdict, found.interval) == ("ambiguous", None)


def test_looks_come_at_set_sizes() -> None:
    sizes = [0]
    while sizes[-1] < 300:
        sizes.append(next_look(sizes[-1]))
    assert sizes[1:] == [30, 45, 68, 102, 153, 230, 345]
