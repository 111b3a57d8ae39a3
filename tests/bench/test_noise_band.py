"""The chance of a run says the same as the noise band at every level."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats import BAND_FLOOR, noise_band, p_of_run

RUNS = st.lists(st.floats(80, 120), min_size=5, max_size=12)


@given(RUNS, st.floats(60, 160), st.sampled_from([0.01, 0.001, 0.0005]))
def test_a_run_is_improbable_where_it_is_outside_of_the_band(
    runs: list[float], run: float, level: float
) -> None:
    band, chance = noise_band(runs, level), p_of_run(runs, run)
    edge = min(abs(math.log(run / end)) for end in (band.low, band.high))
    if edge > 1e-9:
        assert (chance < level) == (not band.low <= run <= band.high)


def test_what_is_within_the_floor_is_never_improbable() -> None:
    runs = [100.0] * 9
    for run in (100 * (1 + BAND_FLOOR) - 1e-6, 100 / (1 + BAND_FLOOR) + 1e-6):
        assert p_of_run(runs, run) == 1
    for run in (100 * (1 + BAND_FLOOR) + 1e-6, 100 / (1 + BAND_FLOOR) - 1e-6):
        assert p_of_run(runs, run) == 0


def test_a_smaller_error_makes_a_wider_band() -> None:
    runs = [98.0, 99.0, 100.0, 101.0, 102.0]
    wide, band = noise_band(runs, 0.001), noise_band(runs)
    assert wide.low < band.low < band.high < wide.high


def test_too_few_runs_have_no_chance() -> None:
    with pytest.raises(ValueError, match="4 runs, 5 needed"):
        p_of_run([100.0] * 4, 100.0)
