"""Statistics agree with their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats import summarize, wilson


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
