"""A narrow terminal never loses the column that names the row, and names those it leaves out."""

import pytest

from reports.render.sheet import Cell, Heading, Section, Sheet
from reports.render.terminal import render

NAME = "efficientnet_lite0"


def _sheet(metrics: int, spare: int = 0) -> Sheet:
    headings = [Heading("entry", numeric=False)]
    headings += [Heading(f"metric {i}", spare=i >= metrics - spare) for i in range(metrics)]
    row = (Cell(NAME), *(Cell("1,234.5") for _ in range(metrics)))
    return Sheet("", (), tuple(headings), (Section(None, (row,)),), ())


@pytest.mark.parametrize("metrics", [3, 6, 7, 8, 12])
def test_the_name_is_readable_and_what_is_left_out_is_named(metrics: int) -> None:
    text = render(_sheet(metrics), width=80)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("entry")
    name = "".join(line[:12].strip() for line in lines[2:4] if not line.startswith("too narrow"))
    assert name.startswith(NAME[:12])
    shown = [i for i in range(metrics) if f"metric {i}" in lines[0]]
    assert shown == list(range(len(shown)))
    assert ("too narrow for:" in text) is (len(shown) < metrics)
    # One more column of 8 and a gap of 2 would leave the name less than 12.
    assert len(shown) == min(metrics, (80 - 12) // 10)


def test_a_spare_column_goes_before_a_name_is_folded() -> None:
    needed = len(NAME) + 6 * 10
    assert "too narrow" not in render(_sheet(6, spare=1), width=needed)
    assert "too narrow for: metric 5\n" in render(_sheet(6, spare=1), width=needed - 1)
    assert "too narrow" not in render(_sheet(6), width=needed - 1)
