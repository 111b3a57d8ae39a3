"""What a comparison finds about one figure of one row."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, Self, get_args

import pandas as pd

from bench.records import ROW_FIELDS, RowKey

Verdict = Literal[
    "worse",
    "slower",
    "differs",
    "changed",
    "missing",
    "not comparable",
    "not judged",
    "unexpected",
    "flipped",
    "better",
    "faster",
    "same",
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
FAILS = ("worse", "slower", "differs", "changed", "missing")
IMPROVES = ("better", "faster")
# Nothing was decided.
UNDECIDED = ("not comparable", "not judged", "unexpected")

DTYPES: dict[str, str] = {
    **{name: "Int64" if name == "batch_size" else "string" for name in ROW_FIELDS},
    "figure": "string",
    "verdict": "string",
    "reason": "string",
    # whether the gate passes only if it is decided
    "asked": "bool",
    # how the head's key is another, where rows are matched by their entry
    "changes": "string",
    "base": "Float64",
    "head": "Float64",
    # the noise band, and of how many runs it is
    "low": "Float64",
    "high": "Float64",
    "runs": "Int64",
    "p_run": "Float64",
    # paired predictions: images, changed ones, right to wrong, wrong to right
    "images": "Int64",
    "flipped": "Int64",
    "lost": "Int64",
    "gained": "Int64",
    "p_value": "Float64",
    "p_flips": "Float64",
}


@dataclass(frozen=True)
class Finding:
    """What was found about one figure; most fields are those of ``DTYPES``.

    A finding is made without regard to the others. Its p values are then held to levels that bound
    the error of all of them together, which gives the verdict; ``why_not`` is in its place.
    ``speeds`` are the runs that the band is of, and ``flips`` the images predicted otherwise.
    """

    key: RowKey
    figure: str
    verdict: Verdict = "same"
    reason: str | None = None
    asked: bool = True
    changes: str | None = None
    base: float | None = None
    head: float | None = None
    low: float | None = None
    high: float | None = None
    runs: int | None = None
    p_run: float | None = None
    images: int | None = None
    flipped: int | None = None
    lost: int | None = None
    gained: int | None = None
    p_value: float | None = None
    p_flips: float | None = None
    speeds: tuple[float, ...] = field(default=(), compare=False)
    flips: pd.DataFrame | None = field(default=None, compare=False)

    @property
    def judged(self) -> bool:
        """Return whether it has a verdict that says something of the row."""
        return self.verdict not in UNDECIDED

    def because(self, *reasons: str | None) -> Self:
        """Return the finding with more reasons, behind those it has."""
        return replace(self, reason="; ".join(filter(None, (self.reason, *reasons))) or None)


@dataclass(frozen=True)
class WhyNot:
    """Why two rows are not judged by each other."""

    verdict: Verdict
    reason: str

    def of(self, found: Finding) -> Finding:
        """Return the finding with this in place of a verdict."""
        return replace(found, verdict=self.verdict).because(self.reason)


@dataclass(frozen=True)
class Levels:
    """The levels to which p values are held, each bounding the error of one test over all rows."""

    mcnemar: float
    flips: float
    run: float


def p_values(found: Iterable[Finding], name: Literal["p_value", "p_flips", "p_run"]) -> list[float]:
    """Return the p values of one test, of the rows that are to be judged by it."""
    values = (getattr(item, name) for item in found if item.verdict == "same")
    return [value for value in values if value is not None]
