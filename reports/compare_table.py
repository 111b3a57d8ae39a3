"""A comparison as people and as CI systems read it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import pandas as pd

from bench.records import SETTINGS
from reports.compare import ALPHA, Comparison
from reports.finding import FAILS, UNDECIDED, VERDICTS
from reports.render import render as render_as
from reports.render.junit import Case, Outcome
from reports.render.junit import render as render_junit
from reports.render.sheet import ABSENT, Cell, Heading, Section, Sheet, number

# 2: what was asked for and judged, the levels of the tests, changed keys.
JSON_SCHEMA_VERSION = 2
# Figure -> title, scale, digits of a figure, and whether a change is told as a share of the base.
_FIGURES: dict[str, tuple[str, float, int, bool]] = {
    "params": ("params M", 1e-6, 2, False),
    "macs": ("GMACs", 1e-9, 3, False),
    "top1": ("top-1 %", 100, 2, False),
    "images_per_s": ("img/s", 1, 1, True),
    "latency_p50_s": ("p50 ms", 1e3, 2, True),
    "train_images_per_s": ("train/s", 1, 1, True),
    "end_to_end_images_per_s": ("e2e/s", 1, 1, True),
}
# Told only where two rows of one entry differ in it.
_TOLD_APART = ("input_px", *SETTINGS)


def render(comparison: Comparison, format_name: str) -> bytes:
    """Return a comparison in one of the formats of ``reports.render``, as JSON or as JUnit's XML.

    Raises:
        UnknownNameError: no such format.
    """
    more: dict[str, Callable[[pd.DataFrame], str | bytes]] = {
        "json": lambda frame: to_json(comparison),
        "junit": lambda frame: render_junit("zoobench compare", list(_cases(frame))),
    }
    return render_as(comparison.findings, lambda frame: sheet(comparison), format_name, more=more)


def headline(comparison: Comparison) -> str:
    """Return in a line whether the gate passes, and how many figures have each verdict."""
    found = comparison.findings["verdict"].value_counts()
    counts = ", ".join(f"{found[verdict]} {verdict}" for verdict in VERDICTS if verdict in found)
    state = "failed" if comparison.fails else "passed" if comparison.decided else "not decided"
    return f"{state}: {counts or 'nothing compared'}"


def sheet(comparison: Comparison) -> Sheet:
    """Return every figure that is not the same, and the reasons; what is the same is counted.

    Of speeds that are the same it says what would have been seen.
    """
    findings = comparison.findings
    told = findings[(findings["verdict"] != "same") | findings["changes"].notna()]
    order = {verdict: place for place, verdict in enumerate(VERDICTS)}
    told = told.sort_values("verdict", key=lambda v: v.map(order), kind="stable")
    names = _names(findings)
    rows = tuple(
        tuple(Cell(text) for text in (names[index], *_cells(row))) for index, row in _rows(told)
    )
    titles = ("row", "figure", "base", "head", "change", "verdict")
    wordy = ("row", "figure", "verdict")
    return Sheet(
        caption=f"zoobench compare: {headline(comparison)}",
        header=(
            headline(comparison),
            f"base {comparison.base}, head {comparison.head}",
            _judged(comparison),
        ),
        headings=tuple(Heading(title, numeric=title not in wordy) for title in titles),
        sections=(Section(None, rows),),
        notes=(
            *_notes(told, names),
            *_bands(findings),
            *_unmet(comparison),
            *_levels(comparison),
            *_unverified(comparison),
        ),
    )


def _judged(comparison: Comparison) -> str:
    """Return of each figure how many of the base's rows were judged."""
    counts = (
        f"{_title(figure)} {judged} of {asked}"
        for figure, (judged, asked) in comparison.judged().items()
    )
    return f"rows judged: {', '.join(counts) or 'none'}"


def _unmet(comparison: Comparison) -> Iterator[str]:
    for name in comparison.unmet:
        yield f"{name} was asked for, and no row of it was judged"


def _levels(comparison: Comparison) -> Iterator[str]:
    """Yield of each test to which level its p values were held, and for how many rows."""
    tests = (
        ("top-1", "p_value", "McNemar's exact test", comparison.levels.mcnemar),
        ("changed predictions", "p_flips", "their number", comparison.levels.flips),
        ("speed", "p_run", "the noise band", comparison.levels.run),
    )
    judged = comparison.findings[~comparison.findings["verdict"].isin([*UNDECIDED, "missing"])]
    for what, column, test, level in tests:
        if rows := int(judged[column].notna().sum()):
            yield (
                f"{what} of {rows} {'row' if rows == 1 else 'rows'} by {test}: significant up to "
                f"p = {level:.2g}, so that all of them together err at most once in "
                f"{1 / ALPHA:.0f} comparisons (Holm)"
            )


def _unverified(comparison: Comparison) -> Iterator[str]:
    if names := comparison.unverified:
        yield (
            f"predictions unverified, as no sha256 of them was recorded: {', '.join(names)}; "
            "the counts agree"
        )


def to_json(comparison: Comparison) -> str:
    """Return findings and flips, unrounded; what is absent is null."""
    found = comparison.findings["verdict"].value_counts()
    content = {
        "schema_version": JSON_SCHEMA_VERSION,
        "base": comparison.base,
        "head": comparison.head,
        "fails": comparison.fails,
        "decided": comparison.decided,
        "judged": {
            figure: {"judged": judged, "asked": asked}
            for figure, (judged, asked) in comparison.judged().items()
        },
        "unmet": list(comparison.unmet),
        "levels": asdict(comparison.levels),
        "unverified": list(comparison.unverified),
        "verdicts": {verdict: int(found.get(verdict, 0)) for verdict in VERDICTS},
        "findings": _plain(comparison.findings),
        "flips": _plain(comparison.flips),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return list(json.loads(frame.to_json(orient="records", double_precision=15)))


def _cases(findings: pd.DataFrame) -> Iterator[Case]:
    names = _names(findings)
    for index, row in _rows(findings):
        verdict = str(row["verdict"])
        outcome: Outcome = "passed"
        if verdict in FAILS:
            outcome = "failure"
        elif verdict in UNDECIDED:
            outcome = "error" if verdict != "unexpected" and row["asked"] else "skipped"
        message = "" if verdict == "same" else _told(row)
        yield Case(names[index], str(row["figure"]), outcome, message)


def _told(row: Any) -> str:
    _, base, head, change, verdict = _cells(row)
    reason = "" if pd.isna(row["reason"]) else f": {row['reason']}"
    return f"{verdict}: {base} in the base, {head} in the head ({change}){reason}"


def _title(figure: str) -> str:
    return _FIGURES[figure][0].split()[0]


def _rows(frame: pd.DataFrame) -> Iterator[tuple[int, Any]]:
    return ((int(str(index)), row) for index, row in frame.iterrows())


def _cells(row: Any) -> tuple[str, str, str, str, str]:
    title, scale, digits, as_share = _FIGURES[row["figure"]]
    base, head = (number(row[side], scale=scale, digits=digits) for side in ("base", "head"))
    change = ABSENT
    if not pd.isna(row["base"]) and not pd.isna(row["head"]):
        if as_share:
            change = f"{(row['head'] / row['base'] - 1) * 100:+.1f} %"
        elif row["figure"] == "top1":
            change = f"{(row['head'] - row['base']) * scale:+.2f}"
        else:
            change = f"{int(row['head'] - row['base']):+,}"
    return title, base, head, change, str(row["verdict"])


def _names(findings: pd.DataFrame) -> dict[int, str]:
    """Return each finding's entry, with what tells apart several rows of one entry and figure."""
    names = {}
    for _, own in findings.groupby(["entry", "figure"], sort=False):
        apart = [name for name in _TOLD_APART if own[name].nunique(dropna=False) > 1]
        for index, row in _rows(own):
            more = ", ".join(
                f"batch {row[name]}" if name == "batch_size" else str(row[name]) for name in apart
            )
            names[index] = f"{row['entry']} ({more})" if more else str(row["entry"])
    return names


def _bands(findings: pd.DataFrame) -> Iterator[str]:
    """Yield of each speed how far on its worse side the bands reach whose rows are the same."""
    same = findings[(findings["verdict"] == "same") & findings["low"].notna()]
    for figure, own in same.groupby("figure", sort=False):
        bound, side = ("high", "above") if figure == "latency_p50_s" else ("low", "below")
        loss = 100 * (own[bound] / own["base"] - 1).abs()
        reach = f"{loss.min():.1f} %"
        if len(own) > 1:
            reach += f" to {loss.max():.1f} %"
        rows = "row" if len(own) == 1 else "rows"
        yield (
            f"same: {_FIGURES[str(figure)][0]} of {len(own)} {rows}, within noise bands that reach "
            f"{reach} {side} the base: a smaller loss cannot be seen"
        )


def _notes(told: pd.DataFrame, names: dict[int, str]) -> Iterator[str]:
    """Yield each reason once, with its verdict and all rows and figures that it holds for."""
    reasons = told[told["reason"].notna()]
    for (verdict, reason), own in reasons.groupby(["verdict", "reason"], sort=False):
        by_figure: dict[str, list[str]] = {}
        for index, row in _rows(own):
            by_figure.setdefault(names[index], []).append(_title(row["figure"]))
        where = "; ".join(f"{name} ({', '.join(found)})" for name, found in by_figure.items())
        yield f"{verdict}: {where}: {reason}"
