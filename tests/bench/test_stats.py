"""Statistics agree with their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.stats import (
    BAND_FLOOR,
    BAND_MIN_RUNS,
    P99_MIN_STEPS,
    autocorrelation_time,
    geometric_mean,
    mcnemar,
    median_in_units,
    median_rse,
    noise_band,
    p_of_as_many,
    summarize,
    wilson,
)


def test_wilson_equals_a_worked_example() -> None:
    # p = 18/20: (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n), z = 1.959964
    interval = wilson(18, 20)
    assert interval.low == pytest.approx(0.69897, abs=1e-5)
    assert interval.high == pytest.approx(0.97213, abs=1e-5)


@pytest.mark.parametrize(
    ("correct", "images", "confidence", "z"),
    [
        (0, 10, 0.95, 1.959964),
        (10, 10, 0.95, 1.959964),
        (1, 3, 0.95, 1.959964),
        (38_000, 50_000, 0.95, 1.959964),
        (18, 20, 0.99, 2.575829),
    ],
)
def test_wilson_solves_its_equation(correct: int, images: int, confidence: float, z: float) -> None:
    """Its ends are the p with |share - p| = z sqrt(p (1 - p) / n), or 0 and 1."""
    interval = wilson(correct, images, confidence)
    for end, outermost in ((interval.low, 0), (interval.high, 1)):
        distance = abs(correct / images - end)
        error = z * math.sqrt(end * (1 - end) / images)
        assert end == outermost or distance == pytest.approx(error, rel=1e-5)


def test_half_width_at_imagenets_size() -> None:
    interval = wilson(40_000, 50_000)
    assert (interval.high - interval.low) / 2 == pytest.approx(0.0035, abs=1e-4)


@given(images=st.integers(1, 50_000), share=st.floats(0, 1))
def test_the_interval_holds_the_proportion(images: int, share: float) -> None:
    correct = round(images * share)
    interval = wilson(correct, images)
    assert 0 <= interval.low <= correct / images <= interval.high <= 1


def test_no_images_are_no_proportion() -> None:
    with pytest.raises(ValueError, match="n"):
        wilson(0, 0)


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=200))
def test_a_summary_is_ordered_and_within_the_samples(steps_s: list[float]) -> None:
    found = summarize(steps_s)
    p99_s = found.p90_s if found.p99_s is None else found.p99_s
    assert min(steps_s) <= found.median_s <= found.p90_s <= p99_s <= max(steps_s)
    assert found.iqr_s >= 0
    assert found.median_s == pytest.approx(float(np.median(steps_s)))


@pytest.mark.parametrize(
    ("steps_s", "median_s", "iqr_s", "p90_s", "p99_s"),
    [
        # By hand: the p-th percentile of n sorted values is at rank (n - 1) p / 100, from 0.
        ([3.0], 3.0, 0.0, 3.0, None),
        ([4.0, 1.0, 2.0, 3.0, 10.0], 3.0, 4.0 - 2.0, 7.6, None),
        ([float(i) for i in range(99)], 49.0, 73.5 - 24.5, 88.2, None),
        ([float(i) for i in range(101)], 50.0, 75.0 - 25.0, 90.0, 99.0),
        ([float(i * i) for i in range(201)], 100.0**2, 150.0**2 - 50.0**2, 180.0**2, 198.0**2),
    ],
)
def test_a_summary_equals_worked_examples(
    steps_s: list[float], median_s: float, iqr_s: float, p90_s: float, p99_s: float | None
) -> None:
    shuffled = np.random.default_rng(0).permutation(steps_s).tolist()
    found = summarize(shuffled)
    assert (found.median_s, found.iqr_s) == (pytest.approx(median_s), pytest.approx(iqr_s))
    assert found.p90_s == pytest.approx(p90_s)
    assert found.p99_s == (None if p99_s is None else pytest.approx(p99_s))


def test_the_99th_percentile_needs_a_hundred_steps() -> None:
    assert P99_MIN_STEPS == 100
    assert summarize([1.0] * 99).p99_s is None
    assert summarize([1.0] * 100).p99_s == 1.0


@pytest.mark.parametrize(
    ("steps_s", "stretches", "units_s", "expected"),
    [
        ([4.0], [1], [2.0, 2.0], 2.0),
        ([4.0], [1], [1.0, 3.0], 2.0),  # the mean of the units before and after
        # in units of 1, 1, and 2: 3, 3, 4
        ([3.0, 3.0, 8.0], [2, 1], [1.0, 1.0, 3.0], 3.0),
        ([3.0, 8.0, 8.0], [1, 2], [1.0, 1.0, 3.0], 4.0),
    ],
)
def test_a_median_in_units_equals_worked_examples(
    steps_s: list[float], stretches: list[int], units_s: list[float], expected: float
) -> None:
    assert median_in_units(steps_s, stretches, units_s) == pytest.approx(expected)


@given(
    machine=st.lists(st.floats(0.1, 10), min_size=1, max_size=20),
    steps=st.integers(1, 5),
    ratio=st.floats(0.01, 100),
)
def test_a_machine_that_changes_speed_does_not_change_a_median_in_units(
    machine: list[float], steps: int, ratio: float
) -> None:
    # Each stretch runs at a speed of its own, and its neighbouring units at the mean of theirs.
    units = [1.0, *(1.0 for _ in machine)]
    even = median_in_units([ratio] * steps * len(machine), [steps] * len(machine), units)
    assert even == pytest.approx(ratio)
    slow = [ratio * speed for speed in machine for _ in range(steps)]
    beside = [machine[0]]
    for speed in machine:
        beside.append(2 * speed - beside[-1])
    assert median_in_units(slow, [steps] * len(machine), beside) == pytest.approx(ratio)


def test_mcnemar_equals_a_worked_example() -> None:
    # 2 · (C(10,0) + C(10,1)) / 2^10
    assert mcnemar(9, 1) == pytest.approx(22 / 1024)
    assert mcnemar(0, 0) == 1


@pytest.mark.parametrize(
    ("lost", "gained", "p"),
    [(1, 0, 1.0), (2, 0, 1 / 2), (5, 0, 1 / 16), (8, 0, 1 / 128), (3, 1, 10 / 16), (4, 4, 1.0)],
)
def test_mcnemar_is_the_binomial_tail_twice(lost: int, gained: int, p: float) -> None:
    assert mcnemar(lost, gained) == pytest.approx(p)


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_symmetric_and_falls_as_the_sides_part(lost: int, gained: int) -> None:
    assert mcnemar(lost, gained) == mcnemar(gained, lost)
    assert 0 < mcnemar(lost, gained) <= 1
    if lost >= gained:
        assert mcnemar(lost + 1, gained) <= mcnemar(lost, gained) + 1e-12
    assert mcnemar(lost, lost) == 1


def test_as_many_equals_a_worked_example() -> None:
    assert p_of_as_many(1, 2, 0.5) == pytest.approx(3 / 4)
    assert p_of_as_many(0, 20, 0.005) == pytest.approx(1)
    assert p_of_as_many(2, 2, 0.5) == pytest.approx(1 / 4)
    assert p_of_as_many(1, 10, 0.1) == pytest.approx(1 - 0.9**10)
    assert p_of_as_many(3, 3, 0.1) == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("values", "expected"), [([5.0], 5), ([1.0, 4.0], 2), ([1.0, 10.0, 100.0], 10)]
)
def test_a_geometric_mean_equals_worked_examples(values: list[float], expected: float) -> None:
    assert geometric_mean(values) == pytest.approx(expected)


def test_a_band_equals_a_worked_example() -> None:
    # Logarithms -0.1 … 0.1 in five steps: s = 0.07906, t(0.99, 4) = 3.74695, sqrt(1 + 1/5)
    band = noise_band([100 * np.exp(x) for x in (-0.1, -0.05, 0, 0.05, 0.1)])
    assert np.log(band.high / 100) == pytest.approx(3.74695 * 0.0790569 * 1.0954451, rel=1e-5)
    assert band.low * band.high == pytest.approx(100**2)


def test_a_band_is_never_narrower_than_what_can_be_told_apart() -> None:
    assert BAND_FLOOR == 0.02
    band = noise_band([100.0] * 9)
    assert (band.low, band.high) == pytest.approx((100 / 1.02, 102))


@pytest.mark.parametrize(("deviation", "wider"), [(0.0048, False), (0.0049, True)])
def test_a_band_is_its_floor_until_its_runs_differ_more(deviation: float, wider: bool) -> None:
    """Log 1.02 is 0.0198, and t(0.99, 4) sqrt(1 + 1/5) is 4.1046: 0.00482 is between the two."""
    end = deviation * math.sqrt(2)
    band = noise_band([100 * math.exp(x) for x in (-end, 0, 0, 0, end)])
    half = math.log(band.high / 100)
    assert half == pytest.approx(max(4.1046 * deviation, math.log(1.02)), rel=1e-4)
    assert (half > math.log(1.02) + 1e-9) == wider


def test_too_few_runs_make_no_band() -> None:
    assert BAND_MIN_RUNS == 5
    with pytest.raises(ValueError, match="4 runs, 5 needed"):
        noise_band([100.0] * 4)
    noise_band([100.0] * 5)


@pytest.mark.parametrize("runs", [5, 10, 20])
def test_one_untouched_run_in_a_hundred_lies_below_its_band(runs: int) -> None:
    random = np.random.default_rng(runs)
    drawn = np.exp(random.normal(0, 0.05, (4000, runs + 1)))
    below = sum(row[-1] < noise_band(row[:-1]).low for row in drawn)
    assert below / len(drawn) == pytest.approx(0.01, abs=0.005)


@settings(deadline=None)
@given(st.lists(st.floats(1, 1e4), min_size=5, max_size=30), st.floats(0.01, 100))
def test_a_band_scales_with_the_unit_and_holds_the_mean(runs: list[float], unit: float) -> None:
    band, scaled = noise_band(runs), noise_band([run * unit for run in runs])
    assert band.low < geometric_mean(runs) < band.high
    assert scaled.low == pytest.approx(band.low * unit)
    assert scaled.high == pytest.approx(band.high * unit)


@given(st.lists(st.floats(1e-3, 1e3), min_size=5, max_size=60))
def test_an_error_relative_to_the_median_has_no_unit(values: list[float]) -> None:
    assert median_rse([value * 4 for value in values]) == pytest.approx(median_rse(values))


@pytest.mark.parametrize(
    ("values", "time"),
    [
        # By hand; ranks less their mean are -2 … 2, whose squares sum to 10. The products of
        # neighbours sum to 4, so φ = 0.4 + (1 + 3 · 0.4)/5 = 0.84, and (1 + φ)/(1 - φ) = 11.5.
        ([1.0, 2.0, 3.0, 4.0, 5.0], 11.5),
        ([5.0, 1.0, 4.0, 2.0, 3.0], 1.0),  # falls and rises in turns
        ([7.0] * 5, 1.5),  # no autocorrelation is seen, so φ = 0 + 1/5
        ([7.0] * 1000, 1001 / 999),
        ([float(i) for i in range(200)], 99.0),  # φ is at most 0.98
    ],
)
def test_an_autocorrelation_time_equals_worked_examples(values: list[float], time: float) -> None:
    assert autocorrelation_time(values) == pytest.approx(time)


def _slow_autocorrelation_time(values: list[float]) -> float:
    """As the docstring says, one lag at a time."""
    count = len(values)
    ranks = [sum(w < v for w in values) + sum(w == v for w in values) / 2 for v in values]
    ranks = [rank - count / 2 for rank in ranks]
    lags = [
        sum(ranks[i] * ranks[i + lag] for i in range(count - lag)) / sum(rank**2 for rank in ranks)
        for lag in range(count)
    ]
    smallest, geyer = math.inf, -1.0
    for k in range(count // 2):
        smallest = min(smallest, lags[2 * k] + lags[2 * k + 1])
        if smallest <= 0:
            break
        geyer += 2 * smallest
    phi = min(max(lags[1] + (1 + 3 * lags[1]) / count, 0), 0.98)
    return max(1, geyer, (1 + phi) / (1 - phi))


@given(
    st.integers(0, 10**6),
    st.integers(5, 60),
    st.sampled_from([0, 0.5, 0.9]),
    st.booleans(),
)
def test_an_autocorrelation_time_equals_its_definition(
    seed: int, count: int, phi: float, ties: bool
) -> None:
    noise = np.random.default_rng(seed).normal(size=count)
    values = [float(noise[0])]
    for e in noise[1:]:
        values.append(phi * values[-1] + float(e))
    values = [round(value) if ties else value for value in values]
    if len(set(values)) > 1:
        assert autocorrelation_time(values) == pytest.approx(_slow_autocorrelation_time(values))


def _autoregression(phi: float, trials: int, count: int) -> NDArray[np.float64]:
    """Return series of lognormal steps, spread 5 %, whose logarithms have autocorrelation φ."""
    noise = np.random.default_rng(count).normal(size=(trials, count))
    steps = noise * math.sqrt(1 - phi**2)
    steps[:, 0] = noise[:, 0]
    for i in range(1, count):
        steps[:, i] += phi * steps[:, i - 1]
    return np.exp(0.05 * steps)


@pytest.mark.parametrize(
    ("phi", "count", "least", "most_unknown"),
    [
        (0, 10, 0.96, 0.22),
        (0, 20, 0.94, 0.03),
        (0, 100, 0.94, 0),
        (0.6, 20, 0.92, 0.5),
        (0.6, 100, 0.94, 0),
        (0.9, 20, 0.87, 0.9),
        (0.9, 100, 0.90, 0.45),
    ],
)
def test_the_median_is_within_twice_its_error_as_often_as_promised(
    phi: float, count: int, least: float, most_unknown: float
) -> None:
    """95 % is meant; steps taken as independent were covered in 40 to 50 % at φ = 0.9."""
    series = _autoregression(phi, 400, count)
    errors = np.array([median_rse(steps) for steps in series])
    medians = np.median(series, axis=1)
    covered = np.abs(medians - 1) <= 1.96 * errors * medians  # infinite if it is unknown
    assert covered.mean() >= least
    assert np.isinf(errors).mean() <= most_unknown


@pytest.mark.parametrize("count", [15, 60, 400])
def test_the_error_of_a_median_is_its_spread_over_samples(count: int) -> None:
    samples = np.random.default_rng(1).normal(100, 10, (400, count))
    medians = np.median(samples, axis=1)
    real = medians.std() / medians.mean()
    stated = float(np.median([median_rse(sample) for sample in samples]))
    assert 0.9 * real < stated < 1.6 * real


def test_the_error_sees_what_changes_slowly() -> None:
    """400 steps in bursts of 40 know the median as well as ten steps do, not as 400."""
    steps = np.repeat(np.random.default_rng(1).normal(100, 10, 10), 40)
    steps += np.random.default_rng(2).normal(0, 1, 400)
    assert median_rse(steps) > 0.02
    assert median_rse(np.random.default_rng(1).permutation(steps)) < 0.02


@pytest.mark.parametrize(("count", "seen"), [(40, True), (20, True), (19, False)])
def test_ten_blocks_see_what_is_slow_for_a_while_in_twenty_steps_and_more(
    count: int, seen: bool
) -> None:
    """A tenth of the steps in a row, twice: order statistics around the median do not see them."""
    steps = 100 + np.tile([0.0, 0.3, 0.1, 0.2], 10)
    block = 4 if count == 40 else 2
    steps[:block] = steps[5 * block : 6 * block] = 500.0
    steps = steps[:count]
    error = median_rse(steps) * np.median(steps)
    assert math.isfinite(error)
    spread = np.std([np.median(part) for part in np.array_split(steps, 10)], ddof=1)
    assert error == pytest.approx(spread / math.sqrt(10)) if seen else error < 0.2


def test_of_steps_worth_fewer_than_five_no_error_is_known() -> None:
    assert median_rse([1.0]) == math.inf
    assert median_rse([1.0] * 4) == math.inf
    assert median_rse([5.0, 1.0, 4.0, 2.0, 3.0]) == pytest.approx(4 / (2 * 1.96) / 3)
    assert median_rse([1.0, 2.0, 3.0, 4.0, 5.0]) == math.inf  # worth 5/11.5
    assert median_rse([1.0] * 20) == 0
    for series in _autoregression(0.6, 50, 20):
        worth = len(series) / autocorrelation_time(series)
        assert math.isinf(median_rse(series)) == (worth < 5)


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [
        (9, 1, 7),  # 4 ± 0.98 · 3 is 1.06 to 6.94
        (10, 1, 8),  # 4.5 ± 0.98 · 3.162 is 1.40 to 7.60
        (11, 1, 9),  # 5 ± 0.98 · 3.317 is 1.75 to 8.25
        (6, 0, 5),  # 2.5 ± 0.98 · 2.449 is 0.10 to 4.90
        (5, 0, 4),  # 2 ± 0.98 · 2.236 is -0.19 to 4.19
    ],
)
def test_the_error_is_of_the_order_statistics_that_bound_the_median(
    count: int, low: int, high: int
) -> None:
    """Of independent values, of which each square has a rank."""
    squares = [float(i * i) for i in range(1, count + 1)]
    values = [v for pair in zip(squares[::-1], squares, strict=True) for v in pair][:count]
    assert autocorrelation_time(values) == 1
    error = (squares[high] - squares[low]) / (2 * 1.96)
    assert median_rse(values) == pytest.approx(error / float(np.median(squares)))
