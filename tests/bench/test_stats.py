"""Statistics agree with their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats import (
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
    assert min(steps_s) <= found.median_s <= found.p90_s <= found.p99_s <= max(steps_s)
    assert found.iqr_s >= 0
    assert found.median_s == pytest.approx(float(np.median(steps_s)))


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


def test_a_band_equals_a_worked_example() -> None:
    # Logarithms -0.1 … 0.1 in five steps: s = 0.07906, t(0.99, 4) = 3.74695, sqrt(1 + 1/5)
    band = noise_band([100 * np.exp(x) for x in (-0.1, -0.05, 0, 0.05, 0.1)])
    assert np.log(band.high / 100) == pytest.approx(3.74695 * 0.0790569 * 1.0954451, rel=1e-5)
    assert band.low * band.high == pytest.approx(100**2)


def test_a_band_is_never_narrower_than_what_can_be_told_apart() -> None:
    band = noise_band([100.0] * 9)
    assert (band.low, band.high) == pytest.approx((100 / 1.02, 102))


def test_too_few_runs_make_no_band() -> None:
    with pytest.raises(ValueError, match="4 runs, 5 needed"):
        noise_band([100.0] * 4)


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


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=60), st.floats(1e-3, 1e3))
def test_an_error_relative_to_the_median_has_no_unit(values: list[float], factor: float) -> None:
    scaled = [value * factor for value in values]
    assert median_rse(scaled) == pytest.approx(median_rse(values), abs=1e-9)


@pytest.mark.parametrize("count", [15, 60, 400])
def test_the_error_of_a_median_is_its_spread_over_samples(count: int) -> None:
    samples = np.random.default_rng(1).normal(100, 10, (400, count))
    medians = np.median(samples, axis=1)
    real = medians.std() / medians.mean()
    told = float(np.median([median_rse(sample) for sample in samples]))
    assert 0.9 * real < told < 1.6 * real


def test_the_error_sees_what_changes_slowly() -> None:
    """400 steps in bursts of 40 know the median as well as ten steps do, not as 400."""
    steps = np.repeat(np.random.default_rng(1).normal(100, 10, 10), 40)
    steps += np.random.default_rng(2).normal(0, 1, 400)
    assert median_rse(steps) > 0.02
    assert median_rse(np.random.default_rng(1).permutation(steps)) < 0.02


def test_of_one_value_no_error_is_known() -> None:
    assert median_rse([1.0]) == float("inf")
    assert median_rse([1.0, 1.0]) == 0
