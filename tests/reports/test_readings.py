"""A reading explains exactly what it says; an erratum is what none of them explains."""

from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.readings import (
    LENIENT,
    STRICT,
    Count,
    counter_adds,
    counter_leaves_out,
    cut,
    explanations,
    other_implementation,
    rounded_up,
    two_digits,
    whole_number,
    why_an_erratum,
)

Match = Literal["exact", "architecture"]


def _gmacs(printed: str, counted: str, match: Match = "exact") -> Count:
    return Count("gflops", printed, Decimal(counted), match)


def _params(printed: str, counted: str, match: Match = "exact") -> Count:
    return Count("params_m", printed, Decimal(counted), match)


@pytest.mark.parametrize(
    ("reading", "explained", "unexplained"),
    [
        (cut, _gmacs("17.5", "17.564"), _params("25.0", "25.557")),
        (rounded_up, _params("29", "28.288"), _params("29", "27.9")),
        (whole_number, _params("45.0", "44.549"), _gmacs("11.0", "11.514")),
        (whole_number, _params("45.0", "44.549"), _params("45", "44.549")),
        (two_digits, _params("120", "118.515"), _params("25.0", "25.557")),
        (two_digits, _params("120", "118.515"), _params("12", "11.4")),
        (counter_adds, _gmacs("12.7", "12.602"), _gmacs("94.0", "82.054")),
        (counter_adds, _gmacs("12.7", "12.602"), _params("12.7", "12.602")),
        (counter_leaves_out, _gmacs("4.2", "4.394"), _gmacs("53.0", "56.080")),
        (
            other_implementation,
            _params("73.4", "73.075", "architecture"),
            _params("73.4", "73.075", "exact"),
        ),
    ],
)
def test_a_reading_explains_what_it_says_and_not_more(
    reading: object, explained: Count, unexplained: Count
) -> None:
    assert callable(reading)
    assert reading(explained)
    assert reading(unexplained) is None


def test_no_reading_explains_the_known_errata() -> None:
    assert explanations(_params("25.0", "25.557")) == ()
    assert explanations(_gmacs("23.0", "100.231")) == ()
    assert explanations(_gmacs("11.0", "11.514"), contradicted=True) == ()


def test_a_table_that_contradicts_itself_has_no_counter_for_an_excuse() -> None:
    count = _gmacs("11.0", "11.514")
    assert explanations(count) == ("a counter that leaves operators out",)
    assert explanations(count, contradicted=True) == ()
    # What is a plain rounding stays one.
    assert explanations(_gmacs("17.5", "17.564"), contradicted=True) == ("cut, not rounded",)


def test_an_erratum_says_what_it_looks_like() -> None:
    assert "never counted" in why_an_erratum(_params("25.0", "25.557"), img_size=224)
    assert "514 px in place of 480" in why_an_erratum(_gmacs("94.0", "82.054"), img_size=480)
    assert "patches 2 times as wide" in why_an_erratum(_gmacs("23.0", "100.231"), img_size=224)


@given(st.decimals(min_value=1, max_value=1000, places=6), st.integers(0, 2))
def test_rightly_rounded_counts_are_reproduced(counted: Decimal, digits: int) -> None:
    assert Count("gflops", f"{counted:.{digits}f}", counted, "exact").reproduced


@given(st.decimals(min_value=10, max_value=1000, places=6))
def test_parameters_five_percent_off_are_never_explained_by_a_lenient_reading(
    counted: Decimal,
) -> None:
    count = Count("params_m", f"{counted * Decimal('1.05'):.1f}", counted, "architecture")
    assert not any(reading(count) for reading in LENIENT)
    assert set(explanations(count)) <= {text for r in STRICT if (text := r(count))}
