"""Points of pictures: which figure of which row, and whether it was measured or only claimed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from bench.records import SETTINGS
from reports.frame import IMAGENET_VAL_IMAGES, IMAGENET_VAL_KIND
from zoo.entry import Entry
from zoo.errors import ClaimsError
from zoo.manifest import embedded, load, select_by
from zoo.published import ClaimedFigure, Match, Row, load_rows, tables

# measured here; claimed for these very weights; claimed for this network, otherwise trained.
Origin = Literal["measured", "exact", "architecture"]
ORIGINS: tuple[Origin, ...] = ("measured", "exact", "architecture")
# Claimed figure -> (column of the frame, factor from the column's unit to the claim's).
CLAIMED_COLUMNS: dict[ClaimedFigure, tuple[str, float]] = {
    "params_m": ("params", 1e-6),
    "gflops": ("macs", 1e-9),
    "images_per_s": ("images_per_s", 1.0),
    "top1_pct": ("top1", 100.0),
}


@dataclass(frozen=True)
class Point:
    """One mark of a picture.

    ``x`` and ``y`` are in the units of the axes; ``y_low`` and ``y_high`` bound a 95 % interval
    where one is known. ``origin`` is that of the accuracy.
    """

    label: str
    family: str
    x: float
    y: float
    origin: Origin
    y_low: float | None = None
    y_high: float | None = None


@dataclass(frozen=True)
class Subject:
    """What a mark stands for: an entry under the name that the picture gives it.

    ``claim`` is the published row whose accuracy stands in where none was measured.
    """

    entry: str
    label: str
    family: str
    year: int | None
    claim: Row | None
    match: Match | None


@dataclass(frozen=True)
class Accuracies:
    """The measured accuracies of one dataset, by entry and precision: (top-1, low, high) in %."""

    title: str
    slug: str
    of: Mapping[tuple[str, str], tuple[float, float, float]]

    def find(self, entry: str, precision: str | None) -> tuple[float, float, float] | None:
        """Return an entry's accuracy at this precision; None means any, fp32 first."""
        if precision is not None:
            return self.of.get((entry, precision))
        known = sorted((p != "fp32", p) for name, p in self.of if name == entry)
        return self.of[entry, known[0][1]] if known else None


def known_entries(manifests: Iterable[str] = ()) -> dict[str, Entry]:
    """Return the entries of the embedded manifests and of further ones, by name."""
    names = (*embedded(), *manifests)
    return {entry.name: entry for name in names for entry in load(name).entries}


def subjects(
    frame: pd.DataFrame, entries: Mapping[str, Entry], table: str | None = None
) -> list[Subject]:
    """Return what a frame's pictures show: its entries, or the rows of a published table.

    Raises:
        ClaimsError: the table is given, and none of its rows is in the frame.
    """
    present = list(dict.fromkeys(frame["entry"]))
    if table is None:
        claims = _claims_by_entry(row for name in tables() for row in load_rows(name))
        return [_subject(name, name, entries, claims.get(name)) for name in present]
    rows = [row for row in load_rows(table) if row.entry in present]
    if not rows:
        raise ClaimsError(
            f"no entry of table {table!r} is among the results; measure them with: "
            "zoobench run --manifest sota --figures params,gmacs"
        )
    return [_subject(row.entry, _row_label(row), entries, (row, row.entry_match)) for row in rows]


def matching(
    shown: Sequence[Subject], patterns: Sequence[str], entries: Mapping[str, Entry]
) -> list[Subject]:
    """Return the subjects whose entry's name or one of whose tags matches a pattern.

    Raises:
        UnknownNameError: a pattern matches nothing.
    """

    def words(subject: Subject) -> tuple[str, ...]:
        entry = entries.get(subject.entry)
        return (subject.entry, *(entry.tags if entry else ()))

    return list(select_by(shown, patterns, words))


def _claims_by_entry(rows: Iterable[Row]) -> dict[str, tuple[Row, Match | None]]:
    """Return each entry's claim of top-1: of the exact weights, if some table has one."""
    found: dict[str, tuple[Row, Match | None]] = {}
    for row in rows:
        for name, match in (
            (row.entry, row.entry_match),
            (row.torchvision_entry, row.torchvision_match),
        ):
            better = name not in found or (match == "exact" and found[name][1] != "exact")
            if name and match and row.top1_pct and better:
                found[name] = (row, match)
    return found


def _subject(
    name: str, label: str, entries: Mapping[str, Entry], claim: tuple[Row, Match | None] | None
) -> Subject:
    entry = entries.get(name)
    row, match = claim or (None, None)
    return Subject(
        entry=name,
        label=label,
        family=(entry.family if entry else None) or "no family",
        year=entry.year if entry else None,
        claim=row,
        match=match,
    )


def _row_label(row: Row) -> str:
    """Return a row's printed name, with what tells rows of the same name apart."""
    size = f" {row.img_size}" if row.img_size != 224 else ""
    pretrain = f" {row.pretrain}" if row.pretrain not in ("", "in1k") else ""
    return f"{row.row}{size}{pretrain}"


def accuracies(frame: pd.DataFrame) -> tuple[Accuracies, list[Accuracies]]:
    """Return what was measured on the whole of ImageNet's validation set, and on other sets.

    A subset, a sample and a limited run are sets of their own: never mixed with the first.
    """
    measured = frame[frame["top1"].notna()]
    whole = (measured["dataset_kind"] == IMAGENET_VAL_KIND) & (
        measured["images"] == IMAGENET_VAL_IMAGES
    )
    whole = whole.fillna(False).astype(bool)
    others = measured[~whole]
    samples = [
        _sample(str(name), group)
        for (name, _), group in others.groupby(["dataset", "dataset_digest"], sort=True)
    ]
    return Accuracies("ImageNet-1k validation set", "", _top1(measured[whole])), samples


def _sample(name: str, group: pd.DataFrame) -> Accuracies:
    images = int(group["images"].max())
    title = f"a sample, the {images} images of {name!r}: no ImageNet figure"
    stem = "-".join(dict.fromkeys(("sample", name, str(images))))
    return Accuracies(title, stem, _top1(group))


def _top1(frame: pd.DataFrame) -> dict[tuple[str, str], tuple[float, float, float]]:
    columns = ["entry", "precision", "top1", "top1_low", "top1_high"]
    return {
        (str(entry), str(precision)): (100 * top1, 100 * low, 100 * high)
        for entry, precision, top1, low, high in frame[columns].itertuples(index=False)
    }


def points(
    shown: Sequence[Subject],
    xs: Mapping[str, float],
    measured: Accuracies,
    *,
    precision: str | None = None,
    with_claims: bool = True,
) -> tuple[list[Point], list[str]]:
    """Return a point for each subject with both figures, and the labels of the others.

    Args:
        shown: what the picture shows.
        xs: the horizontal figure of each entry that has one.
        measured: accuracies of one dataset.
        precision: that of the horizontal figure, if it has one.
        with_claims: let a published top-1 stand in where none was measured.
    """
    found, left_out = [], []
    for subject in shown:
        x, y = xs.get(subject.entry), measured.find(subject.entry, precision)
        if x is not None and y is not None:
            found.append(Point(subject.label, subject.family, x, y[0], "measured", y[1], y[2]))
        elif x is not None and with_claims and (claim := _claimed(subject)):
            found.append(Point(subject.label, subject.family, x, *claim))
        else:
            left_out.append(subject.label)
    return found, left_out


def _claimed(subject: Subject) -> tuple[float, Origin] | None:
    if subject.claim is None or subject.match is None or not subject.claim.top1_pct:
        return None
    return float(subject.claim.top1_pct), subject.match


def column(frame: pd.DataFrame, name: str, scale: float) -> dict[str, float]:
    """Return a figure of each entry that has it, scaled; that of its first row."""
    values = frame[frame[name].notna()].drop_duplicates("entry")
    return {
        str(entry): float(value) * scale
        for entry, value in zip(values["entry"], values[name], strict=True)
    }


def speed_groups(frame: pd.DataFrame) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Return the rows with images/s, one group for each setting that makes them comparable."""
    timed = frame[frame["images_per_s"].notna()]
    groups = timed.groupby(list(SETTINGS), sort=True, dropna=False)
    return [(dict(zip(SETTINGS, key, strict=True)), group) for key, group in groups]


def shown_settings(settings: Mapping[str, Any]) -> str:
    """Return the settings of a group as a reader sees them, "cpu, fp32, …, batch 32"."""
    return ", ".join(_shown_setting(name, value) for name, value in settings.items())


def _shown_setting(name: str, value: Any) -> str:
    if pd.isna(value):
        return "–"
    return f"batch {value}" if name == "batch_size" else str(value)


def pareto_front(
    marks: Iterable[tuple[float, float]], *, more_x: bool
) -> list[tuple[float, float]]:
    """Return the points that no other one equals or beats in both figures, by rising x.

    More y is better; more x is better too if ``more_x``, else less. Of equal points one stays.
    """
    front: list[tuple[float, float]] = []
    for x, y in sorted(marks, key=lambda mark: (-mark[0] if more_x else mark[0], -mark[1])):
        if not front or y > front[-1][1]:
            front.append((x, y))
    return sorted(front)


@dataclass(frozen=True)
class Pair:
    """A measured figure beside a published one, in the unit of the claim."""

    label: str
    family: str
    claimed: float
    measured: float
    tolerance: float  # half of the last printed digit
    conditions: str = ""  # how the source measured

    @property
    def difference(self) -> float:
        """Return how much more was measured than claimed."""
        return self.measured - self.claimed

    @property
    def deviation_pct(self) -> float:
        """Return how much more was measured than claimed, in per cent of the claim."""
        return 100 * (self.measured / self.claimed - 1)

    @property
    def rounds_to_claim(self) -> bool:
        """Return whether the measured figure is what was printed, but for rounding."""
        return abs(self.measured - self.claimed) <= self.tolerance * (1 + 1e-9)


def pairs(shown: Sequence[Subject], xs: Mapping[str, float], figure: ClaimedFigure) -> list[Pair]:
    """Return measured and published figures of the subjects that have both.

    Accuracy is compared only where the claim is about the very weights.
    """
    found = []
    for subject in shown:
        if subject.claim is None or (figure == "top1_pct" and subject.match != "exact"):
            continue
        claims = [c for c in subject.claim.claims() if c.figure == figure and c.value > 0]
        if claims and subject.entry in xs:
            claim = claims[0]
            found.append(
                Pair(
                    label=subject.label,
                    family=subject.family,
                    claimed=claim.value,
                    measured=xs[subject.entry],
                    tolerance=claim.tolerance,
                    conditions=claim.conditions.removeprefix("images/s: "),
                )
            )
    return found
