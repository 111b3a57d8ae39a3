"""Verdicts of pairs of processes: how often they err, and what they depend on."""

from itertools import pairwise
from math import comb, exp, inf, log, log1p

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.stats import MIN_PAIRS, Verdict, judge

THRESHOLD = 0.05
LINE = log1p(THRESHOLD)
MOST_PAIRS = 60
log_ratios = st.lists(st.floats(-1, 1), min_size=1, max_size=120)
OPPOSITE: dict[Verdict, Verdict] = {"slower": "faster", "faster": "slower"}


def _ends(series: NDArray[np.float64]) -> tuple[Verdict, tuple[float, float]]:
    """Look at a series after every pair, and return how it ends: verdict and interval."""
    for count in range(MIN_PAIRS, len(series) + 1):
        found = judge(series[:count].tolist(), THRESHOLD)
        if found.verdict != "ambiguous":
            break
    assert found.interval is not None
    return found.verdict, (log(found.interval.low), log(found.interval.high))


@pytest.fixture(scope="module")
def noise() -> NDArray[np.float64]:
    """300 comparisons of 60 pairs: heavy tails, and a process in five that is slow all its life."""
    random = np.random.default_rng(0)
    slow = random.choice([-0.26, 0, 0, 0, 0.26], (300, MOST_PAIRS), p=[0.1, 0.3, 0.2, 0.3, 0.1])
    return np.where(random.random((300, MOST_PAIRS)) < 0.3, slow, 0) + 0.02 * random.standard_t(
        3, (300, MOST_PAIRS)
    )


@pytest.mark.parametrize(
    ("ratio", "verdict"), [(1.0, "same"), (1.05, "slower"), (1 / 1.05, "faster")]
)
def test_a_change_of_the_threshold_is_found_and_an_untouched_pair_is_the_same(
    noise: NDArray[np.float64], ratio: float, verdict: Verdict
) -> None:
    verdicts = [_ends(log(ratio) + row)[0] for row in noise]
    assert verdicts.count(verdict) >= 280
    assert verdicts.count(verdict) + verdicts.count("ambiguous") >= 299


@pytest.mark.parametrize(
    ("ratio", "wrong"),
    [
        (1.045, "same"),  # a change of 5 % by its work measured as 4.4 % here
        (1 / 1.045, "same"),
        (1.05**0.5, "slower"),
        (1.05**-0.5, "faster"),
    ],
)
def test_a_true_ratio_beyond_a_line_of_the_verdict_is_hardly_ever_called_so(
    noise: NDArray[np.float64], ratio: float, wrong: Verdict
) -> None:
    assert [_ends(log(ratio) + row)[0] for row in noise].count(wrong) <= 3


def test_the_interval_may_be_looked_at_after_every_pair() -> None:
    """A sign test of 1 % at each look would miss in 6 % here; 1 % is the promise."""
    random = np.random.default_rng(5)
    missed = 0
    for _ in range(300):
        series = random.normal(size=100).tolist()
        looks = [judge(series[:n], 0.05).interval for n in range(MIN_PAIRS, 101)]
        missed += any(look and not look.low <= 1 <= look.high for look in looks)
    assert missed <= 6


def _evidence(below: int, pairs: int) -> float:
    """Return the mixture's likelihood over a fair coin's, in whole numbers: B(r+½, n-r+½)/π 2ⁿ."""
    above = pairs - below
    return comb(2 * below, below) * comb(2 * above, above) / comb(pairs, below) / 2**pairs


# At 52, 63, 89 and 141 pairs the evidence of a rank is nearest to 100.
@pytest.mark.parametrize("pairs", [10, 11, 14, 15, 20, 37, 52, 63, 89, 141, 200])
def test_the_interval_leaves_out_what_the_signs_rule_out(pairs: int) -> None:
    """Its ends are the first order statistics at which the evidence is below 100."""
    values = np.random.default_rng(pairs).normal(0, 0.1, pairs)
    outside = max(r for r in range(pairs // 2) if _evidence(r, pairs) >= 100)
    assert _evidence(outside + 1, pairs) < 100
    interval = judge(values.tolist(), THRESHOLD).interval
    assert interval is not None
    assert log(interval.low) == pytest.approx(np.sort(values)[outside])
    assert log(interval.high) == pytest.approx(np.sort(values)[-1 - outside])


@pytest.mark.parametrize(
    ("pairs", "outside"),
    [(10, 0), (14, 0), (15, 1), (18, 1), (19, 2), (21, 2), (30, 5), (50, 12), (100, 31)],
)
def test_how_many_pairs_are_outside_the_interval(pairs: int, outside: int) -> None:
    interval = judge([i / 1000 for i in range(pairs)], THRESHOLD).interval
    assert interval is not None
    assert log(interval.low) == pytest.approx(outside / 1000)


def test_fewer_pairs_than_bound_anything_are_ambiguous_without_an_interval() -> None:
    assert MIN_PAIRS == 10
    few = judge([0.0] * (MIN_PAIRS - 1), THRESHOLD)
    assert (few.verdict, few.interval, few.ratio) == ("ambiguous", None, 1)
    enough = judge([0.0] * MIN_PAIRS, THRESHOLD)
    assert enough.verdict == "same"
    assert enough.interval is not None


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0, 0.749, "same"),
        (0.6, 0.749, "same"),  # beyond half of it too: same goes first
        (0, 0.751, "ambiguous"),
        (-0.749, 0.749, "same"),
        (-0.751, 0, "ambiguous"),
        (0.501, 0.751, "slower"),
        (0.499, 0.751, "ambiguous"),
        (0.501, 30, "slower"),
        (-0.751, -0.501, "faster"),
        (-0.751, -0.499, "ambiguous"),
        (-0.501, 0.501, "same"),
        (-2, 2, "ambiguous"),
    ],
)
def test_both_sides_of_each_line(low: float, high: float, verdict: Verdict) -> None:
    """Of ten pairs the interval is from the smallest to the largest; in parts of the threshold."""
    for threshold in (0.01, 0.05, 0.3):
        line = log1p(threshold)
        assert judge([low * line] * 5 + [high * line] * 5, threshold).verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.0, 0.75, "ambiguous"),
        (-0.75, 0.0, "ambiguous"),
        (0.5, 0.8, "ambiguous"),
        (-0.8, -0.5, "ambiguous"),
        (0.75, 0.75, "slower"),
        (-0.75, -0.75, "faster"),
    ],
)
def test_a_ratio_on_a_line_is_on_neither_side_of_it(
    low: float, high: float, verdict: Verdict
) -> None:
    assert judge([low * LINE] * 5 + [high * LINE] * 5, THRESHOLD).verdict == verdict


def test_the_lines_are_of_the_threshold_as_a_ratio() -> None:
    """Twice as slow is as far from the same as twice as fast: 100 % is a ratio of 2 or 1/2."""
    assert judge([0.74 * log(2)] * 10, 1.0).verdict == "same"
    assert judge([0.76 * log(2)] * 10, 1.0).verdict == "slower"


@given(log_ratios)
def test_exchanged_sides_exchange_the_verdict(values: list[float]) -> None:
    there, back = judge(values, 0.05), judge([-value for value in values], 0.05)
    assert back.verdict == OPPOSITE.get(there.verdict, there.verdict)
    assert back.ratio == pytest.approx(1 / there.ratio)


@given(log_ratios, st.permutations(range(5)))
def test_the_order_of_pairs_does_not_matter(values: list[float], order: list[int]) -> None:
    shuffled = [v for i in order for v in values[i::5]]
    assert judge(shuffled, 0.05) == judge(values, 0.05)


@given(log_ratios)
def test_the_ratio_is_the_median_and_is_in_its_interval(values: list[float]) -> None:
    found = judge(values, 0.05)
    assert found.ratio == pytest.approx(exp(float(np.median(values))))
    if found.interval:
        assert found.interval.low <= found.ratio <= found.interval.high


@given(log_ratios, st.floats(0.001, 0.5), st.floats(0, 0.5))
def test_what_is_within_a_threshold_is_within_a_larger_one(
    values: list[float], threshold: float, more: float
) -> None:
    if judge(values, threshold).verdict == "same":
        assert judge(values, threshold + more).verdict == "same"


def test_more_pairs_of_the_same_spread_never_widen_the_ranks() -> None:
    """The share of pairs outside the interval grows towards a half."""
    shares = []
    for pairs in (10, 20, 40, 80, 160, 320):
        interval = judge([i / pairs for i in range(pairs)], THRESHOLD).interval
        assert interval is not None
        shares.append(log(interval.low) if interval.low > 0 else -inf)
    assert all(a < b < 0.5 for a, b in pairwise(shares))
