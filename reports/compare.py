"""Base against head: a verdict for each figure of each row, from evidence, or why there is none.

Counts must be equal. Predictions are paired image by image: lost accuracy is judged by McNemar's
exact test, and more changed predictions than rounding explains by their number. A speed is judged
by the noise band of the base's runs. By the key, a row that is another in the head is missing;
matched by its entry alone, it is judged, and what changed in the key is named.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import pandas as pd

from bench.records import ROW_FIELDS
from reports import answers_compared, speeds_compared
from reports.finding import (
    DTYPES,
    FAILS,
    IMPROVES,
    UNDECIDED,
    Finding,
    Levels,
    Verdict,
    WhyNot,
    p_values,
)
from reports.holm import holm_level
from reports.key_changes import described
from reports.match import Pair, pairs
from reports.side import Answers, Counts, Item, Side, Speed
from zoo.errors import ReportError

Match = Literal["key", "entry"]
# How often each of the three tests errs at most, over all rows of a comparison together.
ALPHA = 0.01
# What can be asked for, by the names that ``zoobench run`` has, and the figure of the findings.
ASKABLE = {
    "params": "params",
    "gmacs": "macs",
    "top1": "top1",
    "speed": "images_per_s",
    "latency": "latency_p50_s",
    "train": "train_images_per_s",
    "end_to_end": "end_to_end_images_per_s",
}
FLIP_DTYPES: dict[str, str] = {
    "entry": "string",
    "precision": "string",
    "batch_size": "Int64",
    "image": "string",
    "label": "Int64",
    "base": "Int64",
    "head": "Int64",
}


@dataclass(frozen=True)
class Comparison:
    """All findings, and every image that is predicted otherwise (``label``, ``base``, ``head``).

    ``unmet`` are the figures that were asked for by name and of which no row was judged;
    ``unverified`` the entries whose predictions have no recorded sha256.
    """

    base: str
    head: str
    findings: pd.DataFrame
    flips: pd.DataFrame
    levels: Levels
    unmet: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()

    def count(self, verdicts: Iterable[str]) -> int:
        """Return how many findings have one of the verdicts."""
        return int(self.findings["verdict"].isin(list(verdicts)).sum())

    @property
    def fails(self) -> bool:
        """Return whether something got worse, or is missing."""
        return self.count(FAILS) > 0

    @property
    def worth_reviewing(self) -> bool:
        """Return whether the base could be replaced by something better, and lose nothing."""
        return not self.fails and self.count((*IMPROVES, "unexpected")) > 0

    @property
    def undecided(self) -> int:
        """Return of how many figures a comparison was asked for that there is not."""
        open_ = self.findings["verdict"].isin(["not comparable", "not judged"])
        return int((open_ & self.findings["asked"]).sum())

    @property
    def decided(self) -> bool:
        """Return whether all that was asked for was compared, and there was anything at all."""
        judged = self.count(UNDECIDED) < len(self.findings)
        return judged and not self.undecided and not self.unmet

    def judged(self) -> dict[str, tuple[int, int]]:
        """Return of each figure how many rows were judged, and how many the base asks for."""
        rows = self.findings[self.findings["verdict"] != "unexpected"]
        found = ~rows["verdict"].isin([*UNDECIDED, "missing"])
        return {
            str(figure): (int(own.sum()), len(own))
            for figure, own in found.groupby(rows["figure"], sort=False)
        }


def compare(
    base: Side, head: Side, *, match: Match = "key", asked: Sequence[str] = ()
) -> Comparison:
    """Judge every figure of both sides.

    Args:
        base: what is compared with; each of its rows and figures has to be in the head.
        head: what is judged.
        match: ``key``: rows are the same if their whole keys are. ``entry``: if they have the same
            name; what differs in their keys is reported, and top-1 is judged nevertheless.
        asked: figures of ``ASKABLE``, all others are left out; all of the base if none is named.

    Raises:
        ReportError: the base holds nothing to compare with.
    """
    if not base.items:
        raise ReportError(f"{base.name}: holds no measured row to compare with")
    figures = {ASKABLE[name] for name in asked} or set(ASKABLE.values())
    levels, found = judged(pairs(base, head), head, match)
    wanted = [
        replace(item, asked=item.asked or bool(asked))
        for pair, items in found
        for item in items
        if item.figure in figures and not pair.spare
    ]
    met = {item.figure for item in wanted if item.judged}
    return Comparison(
        base.name,
        head.name,
        _table(wanted),
        _all_flips(wanted),
        levels,
        unmet=tuple(name for name in asked if ASKABLE[name] not in met),
        unverified=_unverified(base, head) if "top1" in figures else (),
    )


def judged(
    found: Sequence[Pair], head: Side, match: Match = "key"
) -> tuple[Levels, list[tuple[Pair, list[Finding]]]]:
    """Return the findings of each pair, and the levels that bound the error of all together.

    ``head`` knows why a row failed there.
    """
    examined = [(pair, _examined(pair, head, match)) for pair in found]
    every = [item for pair, items in examined if not pair.spare for item in items]
    levels = Levels(
        mcnemar=holm_level(p_values(every, "p_value"), ALPHA),
        flips=holm_level(p_values(every, "p_flips"), ALPHA),
        run=holm_level(p_values(every, "p_run"), ALPHA),
    )
    return levels, [(pair, [_judged(pair, item, levels) for item in own]) for pair, own in examined]


def _examined(pair: Pair, head: Side, match: Match) -> list[Finding]:
    """Return a finding for each figure of a pair, with p values that regard no other."""
    why_not = _why_not(pair, head, match)
    changes = described(pair.differences) if match == "entry" and pair.head else ""
    figures = _FIGURES.get(type(pair.item)) or (pair.item.kind,)
    blank = (Finding(pair.item.key, figure, changes=changes or None) for figure in figures)
    if isinstance(pair.item, Answers):
        return [answers_compared.examined(pair, found, why_not) for found in blank]
    if isinstance(pair.item, Speed):
        return [speeds_compared.examined(pair, found, why_not) for found in blank]
    return [_count(pair, found, why_not) for found in blank]


def _judged(pair: Pair, found: Finding, levels: Levels) -> Finding:
    found = answers_compared.judged(speeds_compared.judged(pair, found, levels), levels)
    found = answers_compared.limited(pair, found)
    known = found.changes is None or found.changes in (found.reason or "")
    return found if known else replace(found, reason=None).because(found.changes, found.reason)


_FIGURES: Mapping[type[Item], tuple[str, ...]] = {
    Counts: ("params", "macs"),
    Answers: ("top1",),
}


def _count(pair: Pair, found: Finding, why_not: WhyNot | None) -> Finding:
    base, head = (getattr(item, found.figure, None) for item in (pair.base, pair.head))
    found = replace(found, base=base, head=head)
    if why_not:
        return why_not.of(found)
    if base == head:
        return found
    assert base is not None
    assert head is not None
    # Of one network any other count is a mistake; of another network more is a loss.
    verdict: Verdict = "worse" if head > base else "better"
    found = replace(found, verdict=verdict if pair.differences else "differs")
    return found.because(f"{base:,} in the base, {head:,} in the head")


def _why_not(pair: Pair, head: Side, match: Match) -> WhyNot | None:
    if pair.base is None:
        return WhyNot("unexpected", "not in the base")
    if pair.head is not None and _is_comparable(pair, match):
        return None
    changes = described(pair.differences)
    if pair.relocated or (match == "entry" and pair.head):
        return WhyNot("not comparable", f"measured on another device or machine: {changes}")
    if failure := _failure(pair.base, head):
        return WhyNot("missing", f"failed: {failure}")
    if note := _note(pair.base, head):
        return WhyNot("not judged", note)
    if changes:
        return WhyNot("missing", f"the head has another row ({changes}); --match entry judges it")
    return WhyNot("missing", "not in the head")


def _is_comparable(pair: Pair, match: Match) -> bool:
    if match == "key":
        return not pair.differences
    return not (isinstance(pair.item, Speed) and pair.other_machine)


def _failure(row: Item, head: Side) -> str | None:
    """Return why a row of the base failed in the head."""
    wanted = row.key.model_dump()
    for measure, key, reason in head.failures:
        stated = {name: value for name, value in key.model_dump().items() if value is not None}
        if measure == row.measure and all(wanted[name] == v for name, v in stated.items()):
            return reason
    return None


def _note(row: Item, head: Side) -> str | None:
    """Return why the head measured the row and not this figure of it."""
    return next((why for kind, key, why in head.notes if (kind, key) == (row.kind, row.key)), None)


def _unverified(*sides: Side) -> tuple[str, ...]:
    answers = (item for side in sides for item in side.items if isinstance(item, Answers))
    return tuple(dict.fromkeys(item.key.entry for item in answers if not item.verified))


def _table(found: list[Finding]) -> pd.DataFrame:
    rows = [{**item.key.model_dump(include=set(ROW_FIELDS)), **_columns(item)} for item in found]
    return pd.DataFrame(rows, columns=list(DTYPES)).astype(DTYPES)


def _columns(found: Finding) -> dict[str, Any]:
    return {f.name: getattr(found, f.name) for f in fields(found) if f.name in DTYPES}


def _all_flips(found: list[Finding]) -> pd.DataFrame:
    tables = [
        item.flips.assign(
            entry=item.key.entry, precision=item.key.precision, batch_size=item.key.batch_size
        )
        for item in found
        if item.flips is not None and len(item.flips)
    ]
    flips = pd.concat(tables) if tables else pd.DataFrame(columns=list(FLIP_DTYPES))
    return flips[list(FLIP_DTYPES)].astype(FLIP_DTYPES).reset_index(drop=True)
