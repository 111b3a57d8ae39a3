"""Base against head: a verdict for each figure of each row, from evidence, or why there is none.

Counts must be equal. Predictions are paired image by image: lost accuracy is judged by McNemar's
exact test, and more changed predictions than rounding explains by their number. A speed is judged
by the noise band of the base's runs. What was measured on another device or machine is not
comparable; a row that the head does not have, under the very key, is missing.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

import pandas as pd

from bench.records import ROW_FIELDS, RowKey
from bench.stats import BAND_MIN_RUNS, geometric_mean, mcnemar, noise_band, p_of_as_many
from reports.match import Difference, Pair, pairs
from reports.side import Answers, Counts, Item, Run, Side, Speed
from zoo.errors import ReportError

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
# A change of accuracy with a greater p value is told, and does not fail.
ALPHA = 0.01
# What rounding in other kernels changes at most: bf16 against fp32 changes 5 to 8 of 1,000 images
# of EfficientNet-Lite0, and fp32 against fp32 none. More changed predictions than that, with a p
# value below ALPHA, are not the same preprocessing and network, also where accuracy stays.
ROUNDING_FLIPS = 0.005
# Images that a reason names; all of them stand in the list of flips.
_NAMED = 3

DTYPES: dict[str, str] = {
    **{name: "Int64" if name == "batch_size" else "string" for name in ROW_FIELDS},
    "figure": "string",
    "verdict": "string",
    "reason": "string",
    "base": "Float64",
    "head": "Float64",
    # the noise band, and of how many runs it is
    "low": "Float64",
    "high": "Float64",
    "runs": "Int64",
    # paired predictions: images, changed ones, right to wrong, wrong to right
    "images": "Int64",
    "flipped": "Int64",
    "lost": "Int64",
    "gained": "Int64",
    "p_value": "Float64",
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
class Finding:
    """What was found about one figure; the fields are those of ``DTYPES``."""

    key: RowKey
    figure: str
    verdict: Verdict
    reason: str | None = None
    base: float | None = None
    head: float | None = None
    low: float | None = None
    high: float | None = None
    runs: int | None = None
    images: int | None = None
    flipped: int | None = None
    lost: int | None = None
    gained: int | None = None
    p_value: float | None = None
    flips: pd.DataFrame | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Comparison:
    """All findings, and every image that is predicted otherwise (``label``, ``base``, ``head``)."""

    base: str
    head: str
    findings: pd.DataFrame
    flips: pd.DataFrame

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
    def decided(self) -> bool:
        """Return whether there is any verdict at all."""
        return self.count(UNDECIDED) < len(self.findings)


def compare(base: Side, head: Side) -> Comparison:
    """Judge every figure of both sides.

    Raises:
        ReportError: the base holds nothing to compare with.
    """
    if not base.items:
        raise ReportError(f"{base.name}: holds no measured row to compare with")
    found = [
        finding for pair in pairs(base, head) if not pair.spare for finding in judged(pair, head)
    ]
    rows = [{**item.key.model_dump(include=set(ROW_FIELDS)), **_columns(item)} for item in found]
    findings = pd.DataFrame(rows, columns=list(DTYPES)).astype(DTYPES)
    return Comparison(base.name, head.name, findings, _all_flips(found))


def judged(pair: Pair, head: Side) -> list[Finding]:
    """Return a finding for each figure of a pair; ``head`` knows why a row failed there."""
    return _JUDGES[type(pair.item)](pair, _why_not(pair, head))


@dataclass(frozen=True)
class _WhyNot:
    """Why two rows are not held against each other."""

    verdict: Verdict
    reason: str

    def of(self, found: Finding) -> Finding:
        """Return the finding with this in place of a verdict."""
        return replace(found, verdict=self.verdict, reason=self.reason)


def _counts(pair: Pair, why_not: _WhyNot | None) -> list[Finding]:
    return [_count(pair, figure, why_not) for figure in ("params", "macs")]


def _count(pair: Pair, figure: str, why_not: _WhyNot | None) -> Finding:
    base, head = (getattr(item, figure, None) for item in (pair.base, pair.head))
    found = Finding(pair.item.key, figure, "same", base=base, head=head)
    if why_not:
        return why_not.of(found)
    if base == head:
        return found
    reason = f"{base:,} in the base, {head:,} in the head"
    return replace(found, verdict="differs", reason=reason)


def _top1(pair: Pair, why_not: _WhyNot | None) -> list[Finding]:
    base, head = pair.base, pair.head
    top1 = {"base": getattr(base, "top1", None), "head": getattr(head, "top1", None)}
    found = Finding(pair.item.key, "top1", "same", **top1)
    if why_not:
        found = why_not.of(found)
    if not (isinstance(base, Answers) and isinstance(head, Answers)):
        return [found]
    if others := _other_images(base, head):
        reason = _joined(found.reason, others.reason)
        return [replace(found if why_not else others.of(found), reason=reason)]
    found = _with_flips(found, base, head)
    if not why_not:
        found = replace(found, verdict=_verdict_of_flips(found))
    return [replace(found, reason=_joined(found.reason, _told(found)))]


def _with_flips(found: Finding, base: Answers, head: Answers) -> Finding:
    theirs = head.frame[["image", "pred", "right"]]
    both = base.frame.merge(theirs, on="image", suffixes=("", "_head"))
    both = both.rename(columns={"pred": "base", "pred_head": "head"})
    flips = both[both["base"] != both["head"]]
    lost = int((flips["right"] & ~flips["right_head"]).sum())
    gained = int((~flips["right"] & flips["right_head"]).sum())
    return replace(
        found,
        images=len(both),
        flipped=len(flips),
        lost=lost,
        gained=gained,
        p_value=mcnemar(lost, gained),
        flips=flips,
    )


def _verdict_of_flips(found: Finding) -> Verdict:
    assert found.p_value is not None
    assert found.lost is not None
    assert found.gained is not None
    if not found.flipped or not found.images:
        return "same"
    if found.p_value < ALPHA:
        return "worse" if found.lost > found.gained else "better"
    by_rounding = p_of_as_many(found.flipped, found.images, ROUNDING_FLIPS)
    return "flipped" if by_rounding >= ALPHA else "changed"


def _told(found: Finding) -> str | None:
    """Return how many predictions changed, to what, and the first images of them."""
    if found.flips is None or not found.flipped:
        equal = f"all {found.images} predictions are equal"
        return None if found.verdict == "same" else equal
    names = list(found.flips["image"][:_NAMED])
    more = f" and {found.flipped - len(names)} more" if found.flipped > len(names) else ""
    changed = ", more than rounding explains" if found.verdict == "changed" else ""
    return (
        f"{found.flipped} of {found.images} predictions differ{changed}, {found.lost} right to "
        f"wrong, {found.gained} wrong to right, p = {found.p_value:.2g}: {', '.join(names)}{more}"
    )


def _other_images(base: Answers, head: Answers) -> _WhyNot | None:
    """Return why two sets of predictions cannot be paired image by image."""
    ours, theirs = base.frame.set_index("image"), head.frame.set_index("image")
    if not (ours.index.is_unique and theirs.index.is_unique):
        return _WhyNot("not comparable", "several images have one name")
    lacking, added = ours.index.difference(theirs.index), theirs.index.difference(ours.index)
    if len(lacking) or len(added):
        parts = [
            f"{len(images)} of its images only in the {side} ({', '.join(images[:_NAMED])}"
            f"{', …' if len(images) > _NAMED else ''})"
            for side, images in (("base", lacking), ("head", added))
            if len(images)
        ]
        return _WhyNot("missing" if len(lacking) else "not comparable", "; ".join(parts))
    if moved := int((ours["label"] != theirs["label"].reindex(ours.index)).sum()):
        return _WhyNot("not comparable", f"{moved} images have other labels")
    if base.content_sha256 != head.content_sha256:
        return _WhyNot("not comparable", "images of the same names and sizes have other bytes")
    return None


def _speed(pair: Pair, why_not: _WhyNot | None) -> list[Finding]:
    base, head = pair.base, pair.head
    now = head.runs[-1] if isinstance(head, Speed) else None
    runs = base.runs if isinstance(base, Speed) else ()
    known = [run for run in runs if run != now]
    found = Finding(
        pair.item.key,
        pair.item.kind,
        "same",
        base=geometric_mean([run.images_per_s for run in known]) if known else None,
        head=now.images_per_s if now else None,
        runs=len(known) or None,
    )
    if why_not:
        return [why_not.of(found)]
    assert now is not None
    if now in runs:
        return [replace(found, verdict="not judged", reason="this run is one of the base's")]
    return [_held_against_band(found, known, now)]


def _held_against_band(found: Finding, known: list[Run], now: Run) -> Finding:
    if len(known) < BAND_MIN_RUNS:
        runs = "run" if len(known) == 1 else "runs"
        reason = f"{len(known)} {runs} of the base known, {BAND_MIN_RUNS} needed"
        return replace(found, verdict="not judged", reason=reason)
    speeds = _at_base_speed([*known, now])
    *before, head = speeds or [run.images_per_s for run in (*known, now)]
    band = noise_band(before)
    found = replace(found, head=head, low=band.low, high=band.high)
    machine = (
        f"at the base's machine speed, where this one's {now.images_per_s:.4g} are {head:.4g}"
        if speeds
        else "as measured"
    )
    reason = (
        f"the noise band of {len(known)} runs is {band.low:.4g} to {band.high:.4g} images/s, "
        f"{machine}"
    )
    found = replace(found, reason=reason)
    if band.low <= head <= band.high:
        return found
    return replace(found, verdict="slower" if head < band.low else "faster")


def _at_base_speed(runs: list[Run]) -> list[float] | None:
    """Return images/s of runs as a machine would show that is always as fast as the base's was.

    The last run is the head's. None if the reference work did not run beside all of them, or was
    not the same: another torch may change it as much as the network.
    """
    relative = [run.images_per_reference for run in runs if run.images_per_reference]
    if len(relative) < len(runs) or len({(r.reference_version, r.torch) for r in runs}) > 1:
        return None
    references_per_s = [run.images_per_s / each for run, each in zip(runs, relative, strict=True)]
    of_base = geometric_mean(references_per_s[:-1])
    return [each * of_base for each in relative]


def _why_not(pair: Pair, head: Side) -> _WhyNot | None:
    if pair.base is None:
        return _WhyNot("unexpected", "not in the base")
    if pair.head is not None and not pair.differences:
        return None
    told = "; ".join(_difference(difference) for difference in pair.differences)
    if pair.elsewhere:
        return _WhyNot("not comparable", told)
    if failure := _failure(pair.base, head):
        return _WhyNot("missing", f"failed: {failure}")
    if note := _note(pair.base, head):
        return _WhyNot("not judged", note)
    if told:
        return _WhyNot("missing", f"not comparable with what there is: {told}")
    return _WhyNot("missing", "not in the head")


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


def _difference(difference: Difference) -> str:
    return f"{difference.field} {_short(difference.base)}, {_short(difference.head)} in the head"


def _short(value: object) -> str:
    text = "not stated" if value is None else str(value)
    return text[:8] if re.fullmatch("[0-9a-f]{64}", text) else text


def _joined(*parts: str | None) -> str | None:
    return "; ".join(part for part in parts if part) or None


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


_JUDGES: dict[type[Item], Callable[[Pair, _WhyNot | None], list[Finding]]] = {
    Counts: _counts,
    Answers: _top1,
    Speed: _speed,
}
