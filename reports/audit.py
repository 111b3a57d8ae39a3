"""Published tables against measured rows: a verdict for every printed cell, with its reason.

reproduced: agrees within the claim's tolerance. differs: does not, and a reading explains it or
the measurement is no count. erratum: a count that no reading explains. claim only: nothing that
could be compared with it was measured.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Literal, get_args

import pandas as pd

from bench.records import REFERENCE_DECODER, SETTINGS
from reports.flips import decoded
from reports.frame import IMAGENET_VAL_IMAGES, IMAGENET_VAL_KIND
from reports.readings import COUNTERS_DIFFER_BY, Count, explanations, why_an_erratum
from zoo.errors import ClaimsError
from zoo.published import Claim, ClaimedFigure, Match, Row, load_rows, tables

Verdict = Literal["reproduced", "differs", "erratum", "claim only"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

# One row a printed cell. ``measured``, ``difference`` and ``tolerance`` are in the figure's unit
# (millions, 1e9 multiply-adds, images/s, percent); of speeds, the last two are of the ratio.
DTYPES: dict[str, str] = {
    "table": "string",
    "position": "Int64",
    "row": "string",
    "group": "string",
    "img_size": "Int64",
    "pretrain": "string",
    "entry": "string",
    "figure": "string",
    "printed": "string",
    "measured": "Float64",
    "difference": "Float64",
    "tolerance": "Float64",
    "printed_ratio": "Float64",
    "measured_ratio": "Float64",
    "verdict": "string",
    "reason": "string",
}
_SCALES: dict[str, tuple[str, int]] = {"params_m": ("params", 10**6), "gflops": ("macs", 10**9)}
# The images that a claim's dataset means: a folder's kind and size. Nothing else is compared.
_VALIDATION_SETS = {"imagenet-1k": (IMAGENET_VAL_KIND, IMAGENET_VAL_IMAGES)}
_OF_AN_ACCURACY = ("dataset_kind", "images_in_dataset", "images", "weights_sha256")
# Top-1 in points, beyond the last printed digit. The same weights on the same 50,000 images have no
# sampling error, but other versions of a JPEG decoder, of resizing and of kernels change some
# predictions: 25 images more or fewer right. A wrong input size changes top-1 by far more, 0.78
# points in the median of timm's results at train and test size.
TOP1_TOLERANCE = Decimal("0.05")
# Speeds are compared as ratios to this row of the same table.
REFERENCE_ROW = "ResNet-50"
# How papers print its name, and how timm's files do.
_REFERENCE_NAMES = (REFERENCE_ROW, "resnet50")
# Ratios of speeds move with library versions; pycls holds timings to the same 10 %.
SPEED_TOLERANCE = 0.10
_CONDITIONS = {"device_name": "device", "batch_size": "batch", "precision": "precision"}


@dataclass(frozen=True)
class Finding:
    """What was found about one printed cell; the fields are those of ``DTYPES``."""

    verdict: Verdict
    reason: str | None = None
    entry: str | None = None
    measured: float | None = None
    difference: float | None = None
    tolerance: float | None = None
    printed_ratio: float | None = None
    measured_ratio: float | None = None


class _AbsentError(Exception):
    """Nothing was measured that a cell could be compared with; the message is the reason."""


class _Table:
    """A published table's rows beside the measured rows of their entries."""

    def __init__(self, rows: tuple[Row, ...], measured: dict[str, list[dict[str, Any]]]) -> None:
        self.rows = rows
        self._measured = measured

    def of(self, row: Row, column: str, *, exact: bool = False) -> list[dict[str, Any]]:
        """Return the measured rows that hold a column's figure for a printed row.

        Raises:
            _AbsentError: there is none; says why.
        """
        names = [
            name for name, match in _candidates(row) if name and (match == "exact" or not exact)
        ]
        if not names:
            raise _AbsentError("no library has the row's weights" if row.entry else "no entry")
        found = [line for name in names for line in self._measured.get(name, ())]
        known = [line for line in found if not pd.isna(line[column])]
        if not known:
            reasons = [line["reason"] for line in found if not pd.isna(line["reason"])]
            raise _AbsentError(f"not measured: {reasons[0]}" if reasons else "not measured")
        shape = f"{row.img_size}x{row.img_size}"
        right = [line for line in known if line["input_px"] == shape]
        if not right:
            raise _AbsentError(f"measured at {known[0]['input_px']}, the row is of {shape}")
        return right

    def counted(self, row: Row, figure: str) -> tuple[Decimal, dict[str, Any]]:
        """Return a row's raw count in the figure's unit, and where it stands."""
        column, unit = _SCALES[figure]
        line = self.of(row, column)[0]
        return Decimal(int(line[column])) / unit, line


def audit(frame: pd.DataFrame, names: Iterable[str] = ()) -> pd.DataFrame:
    """Return a verdict for every printed cell of tables (all if none is named), in their order.

    Args:
        frame: measured rows, as ``reports.load_frame`` returns them.
        names: tables that come with zoobench, or files of claims.

    Raises:
        UnknownNameError: no such table, nor a file.
        ClaimsError: a file of claims is wrong, or prints nothing.
    """
    measured: dict[str, list[dict[str, Any]]] = {}
    for line in frame.to_dict("records"):
        measured.setdefault(str(line["entry"]), []).append({str(k): v for k, v in line.items()})
    cells = []
    for name in dict.fromkeys(names) or tables():
        table = _Table(load_rows(name), measured)
        found = [
            _cell(row, claim, _judged(table, row, claim))
            for row in table.rows
            for claim in row.claims()
        ]
        if not found:
            raise ClaimsError(f"{name}: prints no figure, so there is nothing to audit")
        cells += found
    return pd.DataFrame(cells, columns=list(DTYPES)).astype(DTYPES)


def _cell(row: Row, claim: Claim, finding: Finding) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in DTYPES if hasattr(row, name)},
        "figure": claim.figure,
        "printed": claim.printed,
        **{name: value for name, value in asdict(finding).items() if value is not None},
    }


def _judged(table: _Table, row: Row, claim: Claim) -> Finding:
    try:
        return _JUDGES[claim.figure](table, row, claim)
    except _AbsentError as absent:
        return Finding("claim only", str(absent))


def _count(table: _Table, row: Row, claim: Claim) -> Finding:
    counted, line = table.counted(row, claim.figure)
    match = dict(_candidates(row))[line["entry"]]
    count = Count(claim.figure, claim.printed, counted, match)
    verdict, reason = _verdict_of_count(table, row, count, line)
    return Finding(
        verdict,
        reason,
        entry=line["entry"],
        measured=float(counted),
        difference=float(count.difference),
        tolerance=float(count.tolerance),
    )


def _verdict_of_count(
    table: _Table, row: Row, count: Count, line: dict[str, Any]
) -> tuple[Verdict, str | None]:
    if count.reproduced:
        return "reproduced", None
    other = _contradiction(table, row, count)
    told = f"{other.row} prints {getattr(other, count.figure)}" if other else ""
    if explained := explanations(count, contradicted=other is not None):
        return "differs", "; ".join(filter(None, [", or ".join(explained), told]))
    if doubt := _doubt(count.figure, line):
        return "differs", f"the count is in doubt: {doubt}"
    why = why_an_erratum(count, img_size=row.img_size)
    same = f"{told}, of the same network" if told else ""
    return "erratum", "; ".join(filter(None, [same, _mixture(table, row, count), why]))


def _mixture(table: _Table, row: Row, count: Count) -> str | None:
    """Return that a row's parameters are those of the network that needs other multiply-adds."""
    if count.figure != "gflops" or not row.params_m or abs(count.excess) <= COUNTERS_DIFFER_BY:
        return None
    params, line = table.counted(row, "params_m")
    match = dict(_candidates(row))[line["entry"]]
    if not Count("params_m", row.params_m, params, match).reproduced:
        return None
    return f"{row.params_m} M is the network that needs {count.counted:.1f} G"


def _contradiction(table: _Table, row: Row, count: Count) -> Row | None:
    """Return a row of the same table with the same network and a figure nearer to the count.

    Networks are the same if their raw parameters, multiply-adds and image size are.
    """
    mine = _identity(table, row)
    for other in table.rows:
        printed = getattr(other, count.figure)
        if not printed or other is row or _identity(table, other) != mine:
            continue
        theirs = Count(count.figure, printed, count.counted, count.match)
        apart = abs(theirs.value - count.value) > theirs.tolerance + count.tolerance
        if apart and abs(theirs.difference) < abs(count.difference):
            return other
    return None


def _identity(table: _Table, row: Row) -> tuple[Decimal, Decimal, int] | None:
    try:
        return table.counted(row, "params_m")[0], table.counted(row, "gflops")[0], row.img_size
    except _AbsentError:
        return None


def _doubt(figure: str, line: dict[str, Any]) -> str | None:
    if figure != "gflops":
        return None
    if not pd.isna(line["uncounted_operators"]):
        return f"uncounted operators {line['uncounted_operators']}"
    if not pd.isna(line["counters_agree"]) and not line["counters_agree"]:
        return "the two counters disagree"
    return None


def _accuracy(table: _Table, row: Row, claim: Claim) -> Finding:
    lines = table.of(row, "top1", exact=True)
    kind, images = _VALIDATION_SETS.get(claim.dataset, (None, None))
    valid = [
        line
        for line in lines
        if not any(pd.isna(line[name]) for name in _OF_AN_ACCURACY)
        and line["dataset_kind"] == kind
        and line["images_in_dataset"] == images
    ]
    if not valid:
        where, many = lines[0]["dataset"], lines[0]["images"]
        raise _AbsentError(f"measured on {where} ({many} images), not on all of {claim.dataset}")
    line = _as_published(valid)
    read = int(line["images"])
    top1 = Decimal(round(line["top1"] * read)) / read * 100
    tolerance = Decimal(str(claim.tolerance)) + TOP1_TOLERANCE
    difference = top1 - Decimal(claim.printed)
    agrees = abs(difference) <= tolerance
    return Finding(
        "reproduced" if agrees else "differs",
        None if agrees else "more than other decoders and libraries explain",
        entry=line["entry"],
        measured=float(top1),
        difference=float(difference),
        tolerance=float(tolerance),
    )


def _as_published(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the row that a published accuracy can be held against: whole, in fp32, by Pillow.

    Raises:
        _AbsentError: there is none; says why.
    """
    whole = [line for line in lines if line["images"] == line["images_in_dataset"]]
    if not whole:
        unread = lines[0]["images_in_dataset"] - lines[0]["images"]
        raise _AbsentError(f"{unread} of {lines[0]['images_in_dataset']} images could not be read")
    exact = [line for line in whole if pd.isna(line["precision"]) or line["precision"] == "fp32"]
    if not exact:
        raise _AbsentError(f"measured in {whole[0]['precision']}, not in fp32")
    for line in exact:
        if pd.isna(line["decoder"]) or line["decoder"] == REFERENCE_DECODER:
            return line
    raise _AbsentError(decoded(exact[0]))


def _speed(table: _Table, row: Row, claim: Claim) -> Finding:
    named = (row for row in table.rows if row.row in _REFERENCE_NAMES and row.images_per_s)
    reference = next(named, None)
    if reference is None:
        raise _AbsentError(f"the table prints no speed of {REFERENCE_ROW} to divide by")
    if reference is row:
        return _reference_speed(table, row, claim)
    pairs = _run_alike(table.of(row, "images_per_s"), table.of(reference, "images_per_s"))
    if not pairs:
        raise _AbsentError(f"{REFERENCE_ROW} was not measured in the same way")
    line, base = min(pairs, key=lambda pair: len(_other_conditions(claim.conditions, pair[0])))
    printed = claim.value / float(reference.images_per_s)
    ratio = float(line["images_per_s"]) / float(base["images_per_s"])
    numbers: dict[str, Any] = {
        "entry": line["entry"],
        "measured": float(line["images_per_s"]),
        "difference": ratio - printed,
        "tolerance": SPEED_TOLERANCE * printed,
        "printed_ratio": printed,
        "measured_ratio": ratio,
    }
    other = _other_conditions(claim.conditions, line)
    # A ratio is judged on another GPU too; on a CPU, or at another batch or precision, it is not.
    device = other.pop("device_name", None) if line["device"] == "cuda" else None
    if other:
        return Finding("claim only", f"other conditions: {'; '.join(other.values())}", **numbers)
    if abs(ratio - printed) <= SPEED_TOLERANCE * printed:
        return Finding("reproduced", device, **numbers)
    reason = "; ".join(filter(None, [f"as a ratio to {REFERENCE_ROW}", device]))
    return Finding("differs", reason, **numbers)


def _reference_speed(table: _Table, row: Row, claim: Claim) -> Finding:
    """Return the speed of the row that the others are divided by: it is shown and not judged."""
    reason = "the other rows are divided by it"
    try:
        lines = table.of(row, "images_per_s")
    except _AbsentError:
        return Finding("claim only", reason)
    line = min(lines, key=lambda line: len(_other_conditions(claim.conditions, line)))
    return Finding(
        "claim only",
        reason,
        entry=line["entry"],
        measured=float(line["images_per_s"]),
        printed_ratio=1.0,
        measured_ratio=1.0,
    )


def _run_alike(
    lines: list[dict[str, Any]], bases: list[dict[str, Any]]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the pairs that were measured on one device in one way."""
    return [
        (line, base)
        for line in lines
        for base in bases
        if all(line[name] == base[name] for name in SETTINGS)
    ]


def _other_conditions(conditions: str, line: dict[str, Any]) -> dict[str, str]:
    """Return each condition of a measured speed that is not the claim's, by the frame's column."""
    stated = {
        "device_name": re.search(r"one (\S+?),", conditions),
        "batch_size": re.search(r"batch (\d+)", conditions),
        "precision": re.search(r"\b(fp32|tf32|bf16|fp16|amp)\b", conditions),
    }
    other = {}
    for name, match in stated.items():
        ours, theirs = str(line[name]), match[1] if match else "not stated"
        # A device's name is longer than a table's: "Tesla V100-SXM2-16GB" is a "V100".
        alike = theirs in ours if name == "device_name" else theirs == ours
        if not alike:
            other[name] = f"{_CONDITIONS[name]} {ours}, the claim's is {theirs}"
    return other


def _candidates(row: Row) -> tuple[tuple[str, Match | None], ...]:
    return (
        (row.entry, row.entry_match),
        (row.torchvision_entry, row.torchvision_match),
    )


_JUDGES: dict[ClaimedFigure, Callable[[_Table, Row, Claim], Finding]] = {
    "params_m": _count,
    "gflops": _count,
    "images_per_s": _speed,
    "top1_pct": _accuracy,
}
