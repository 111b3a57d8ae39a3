"""A comparison of two sides as a table: a row an entry, with its verdict."""

import json
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
from pydantic import ValidationError

from bench.records import COMPARISON_SCHEMA_VERSION, ComparedRow, Comparison
from bench.stats import CHANGED_BEYOND, MIN_PAIRS, SAME_WITHIN, judge
from reports.render import DATA_FORMATS, SHEET_FORMATS
from reports.render import render as render_as
from reports.render.sheet import ABSENT, Cell, Heading, Section, Sheet, number
from zoo.errors import StoreError, first_line

# Told of each side where they differ.
_VERSIONS = ("python", "torch", "torchvision", "timm", "cuda", "cudnn", "torch_threads")
FORMATS = (*SHEET_FORMATS, *DATA_FORMATS, "json")


def read(path: str | Path) -> Comparison:
    """Return a comparison that is kept in a store, ``ab/TIME.json``.

    Those of schema 2 are read too: each series of rounds is one pair of processes, and two pairs
    are too few for a verdict.

    Raises:
        StoreError: there is no such file, or it is not a comparison that this zoobench reads.
    """
    try:
        content = json.loads(Path(path).read_bytes())
        version = content.get("schema_version") if isinstance(content, dict) else None
        if isinstance(version, int) and version > COMPARISON_SCHEMA_VERSION:
            raise StoreError(
                f"{path}: written by a newer zoobench (comparison schema {version}, this one reads "
                f"{COMPARISON_SCHEMA_VERSION}); upgrade zoobench"
            )
        return Comparison.model_validate(content)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise StoreError(f"{path}: not a comparison: {field}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path}: not a comparison: {first_line(error)}") from None


def frame(comparison: Comparison) -> pd.DataFrame:
    """Return a row an entry: its verdict, the ratio of head's seconds to base's, both medians."""
    return pd.DataFrame([_figures(row, comparison.threshold) for row in comparison.rows])


def exit_code(comparison: Comparison) -> int:
    """Return 1 if a row is slower or failed, else 3 if one is ambiguous, else 0."""
    verdicts = set(frame(comparison)["verdict"])
    if verdicts & {"slower", "failed"}:
        return 1
    return 3 if "ambiguous" in verdicts else 0


def render(comparison: Comparison, format_name: str) -> bytes:
    """Return the comparison in one of the formats of ``FORMATS``.

    Raises:
        UnknownNameError: no such format.
    """
    return render_as(
        frame(comparison),
        lambda rows: sheet(rows, comparison),
        format_name,
        more={"json": lambda rows: _json(rows, comparison)},
    )


def sheet(rows: pd.DataFrame, comparison: Comparison) -> Sheet:
    """Return the table with both sides above it, and what the verdicts mean below."""
    headings = ("entry", "verdict", "b/a", "99 % interval", "a ms", "b ms", "pairs", "s")
    lines = tuple(_line(row) for _, row in rows.iterrows())
    return Sheet(
        caption="Base (a) against head (b)",
        header=_header(comparison),
        headings=tuple(Heading(title, numeric=i > 1) for i, title in enumerate(headings)),
        sections=(Section(None, lines),),
        notes=tuple(_notes(rows, comparison)),
    )


def _figures(row: ComparedRow, threshold: float) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "entry": row.entry,
        "verdict": "failed",
        "ratio": None,
        "ratio_low": None,
        "ratio_high": None,
        "a_step_median_s": None,
        "b_step_median_s": None,
        "batch_size": row.batch_size,
        "threads": row.threads,
        "pairs": len(row.pairs),
        "rounds": sum(len(pair.rounds) for pair in row.pairs),
        "seconds": row.seconds,
        "reason": row.reason,
    }
    if row.status == "failed":
        return figures
    found = judge([pair.log_ratio for pair in row.pairs], threshold)
    rounds = [one for pair in row.pairs for one in pair.rounds]
    if found.interval:
        figures |= {"ratio_low": found.interval.low, "ratio_high": found.interval.high}
    return figures | {
        "verdict": found.verdict,
        "ratio": found.ratio,
        "a_step_median_s": median(s for one in rounds for s in one.a_steps_s),
        "b_step_median_s": median(s for one in rounds for s in one.b_steps_s),
    }


def _line(row: Any) -> tuple[Cell, ...]:
    low, high = (number(row[name], digits=3) for name in ("ratio_low", "ratio_high"))
    texts = (
        row["entry"],
        row["verdict"],
        number(row["ratio"], digits=3),
        ABSENT if pd.isna(row["ratio_low"]) else f"[{low}, {high}]",
        number(row["a_step_median_s"], scale=1e3, digits=2),
        number(row["b_step_median_s"], scale=1e3, digits=2),
        str(row["pairs"]),
        number(row["seconds"], digits=0),
    )
    return tuple(
        Cell(text, bold=i == 1 and text in ("slower", "failed")) for i, text in enumerate(texts)
    )


def _header(comparison: Comparison) -> tuple[str, ...]:
    """Return a line a side: what was said of it, and the versions in which they differ."""
    found = next((row for row in comparison.rows if row.a and row.b), None)
    versions: dict[str, tuple[Any, Any]] = {}
    if found and found.a and found.b:
        conditions = found.a["conditions"], found.b["conditions"]
        versions = {name: (conditions[0].get(name), conditions[1].get(name)) for name in _VERSIONS}
    differ = {name: pair for name, pair in versions.items() if pair[0] != pair[1]}
    pythons = comparison.a.python != comparison.b.python
    lines = []
    for i, (letter, side) in enumerate((("a", comparison.a), ("b", comparison.b))):
        words = [f"{name}={value}" for name, value in side.settings.items()]
        if side.revision:
            words.append(side.revision + (f" ({side.commit[:12]})" if side.commit else ""))
        words += [f"{name} {pair[i]}" for name, pair in differ.items()]
        words += [side.python] if pythons else []
        lines.append(f"{letter}: {', '.join(words) or 'as it is'}")
    return tuple(lines)


def _notes(rows: pd.DataFrame, comparison: Comparison) -> list[str]:
    same, changed = ((1 + comparison.threshold) ** part for part in (SAME_WITHIN, CHANGED_BEYOND))
    notes = [
        f"b/a: head's seconds over base's, median of pairs of processes; same: the interval is "
        f"within [{1 / same:.3f}, {same:.3f}]; slower: above {changed:.3f}; faster: below "
        f"{1 / changed:.3f}"
    ]
    ambiguous = rows[rows["verdict"] == "ambiguous"]
    few = ambiguous[ambiguous["pairs"] < MIN_PAIRS]
    if len(few) < len(ambiguous):
        notes.append(
            f"ambiguous: the pairs of {comparison.budget_s:g} s were too noisy; a larger --budget, "
            "--batch or --threshold, or a quieter machine, decides it"
        )
    notes += [
        f"ambiguous: {row['entry']}: {row['pairs']} of at least {MIN_PAIRS} pairs in "
        f"{comparison.budget_s:g} s; give a larger --budget or a smaller --batch"
        for _, row in few.iterrows()
    ]
    failed = rows[rows["verdict"] == "failed"]
    return notes + [f"{row['entry']}: {row['reason']}" for _, row in failed.iterrows()]


def _json(rows: pd.DataFrame, comparison: Comparison) -> str:
    """Return sides, threshold and the rows with their verdicts; the raw rounds are in the store."""
    head = json.loads(comparison.model_dump_json(exclude={"rows"}))
    records = json.loads(rows.to_json(orient="records", double_precision=15))
    return json.dumps({**head, "rows": records}, indent=1) + "\n"
