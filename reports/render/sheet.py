"""A table as people read it, before it has a format; and the one function that rounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Literal

import pandas as pd

ABSENT = "–"
Best = Literal["high", "low"]


@dataclass(frozen=True)
class Heading:
    """A column's title, its alignment, and whether a narrow terminal has it too.

    A ``spare`` column is on a terminal only if it is wide enough; the last one goes first.
    ``label`` is the title for who does not see the columns beside it.
    """

    title: str
    numeric: bool = True
    on_terminal: bool = True
    spare: bool = False
    label: str | None = None


@dataclass(frozen=True)
class Cell:
    """A written cell; the best ones of their columns are bold where a format has bold."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Section:
    """Rows that belong together, under a title or none."""

    title: str | None
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Sheet:
    """A whole table: what holds for all of it, its columns, its rows, and what they need said."""

    caption: str
    header: tuple[str, ...]
    headings: tuple[Heading, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...]

    @property
    def has_rows(self) -> bool:
        """Return whether there is anything to put under the headings."""
        return any(section.rows for section in self.sections)


def number(value: object, *, scale: float = 1, digits: int) -> str:
    """Return a raw figure times ``scale``, rounded to ``digits``; a dash if it is absent.

    What is not zero is not written as zero: it keeps two digits.
    """
    if pd.isna(value):  # type: ignore[call-overload]
        return ABSENT
    scaled = float(value) * scale  # type: ignore[arg-type]
    if 0 < abs(scaled) < 0.5 * 10**-digits:
        digits = 1 - floor(log10(abs(scaled)))
    return f"{scaled:,.{digits}f}"


def best_of(values: Sequence[float | None], best: Best | None) -> set[int]:
    """Return where the best values stand; nowhere if all are equal or there is but one."""
    known = {i: value for i, value in enumerate(values) if value is not None}
    if best is None or len(set(known.values())) < 2:
        return set()
    extreme = max(known.values()) if best == "high" else min(known.values())
    return {i for i, value in known.items() if value == extreme}
