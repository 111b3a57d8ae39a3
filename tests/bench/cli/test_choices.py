"""Numbers of the command line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cli.choices import batches, share
from zoo.errors import ZoobenchError


@given(st.floats(1e-6, 0.2))
def test_per_cent_and_fraction_mean_the_same(value: float) -> None:
    assert share("--x", f"{value!r}", at_most=0.2) == value
    assert share("--x", f" {100 * value!r} % ", at_most=0.21) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "%", "nan", "inf", "0", "0%", "-0.1", "21%", "0.21", "5%%"])
def test_what_is_no_share_is_one_line(text: str) -> None:
    with pytest.raises(ZoobenchError, match=r"--x .*above 0 and at most 20%"):
        share("--x", text, at_most=0.2)


def test_batches_are_numbers_and_the_largest_each_once() -> None:
    assert batches(None) == [None]
    assert batches("1, 8,auto,8,auto") == [1, 8, "auto"]
    for text in ("", "auto,", "1.5", "-1"):
        with pytest.raises(ZoobenchError, match="--batch"):
            batches(text)
