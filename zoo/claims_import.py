"""What the libraries claim themselves: timm's results files, the metadata of torchvision's weights.

A line becomes a claim only for an entry of the same name, tag and image size. What matches none is
counted, never guessed.
"""

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from zoo import build
from zoo.entry import Entry
from zoo.errors import ClaimsError
from zoo.published import Row

TORCHVISION = "torchvision"
# What timm's accuracy files were evaluated on: only their names say it.
_DATASETS = {
    "results-imagenet": "imagenet-1k",
    "results-imagenet-real": "imagenet-1k, ReaL labels",
    "results-imagenet-a": "imagenet-a",
    "results-imagenet-a-clean": "imagenet-1k, the classes of imagenet-a",
    "results-imagenet-r": "imagenet-r",
    "results-imagenet-r-clean": "imagenet-1k, the classes of imagenet-r",
    "results-imagenetv2-matched-frequency": "imagenet-v2, matched frequency",
    "results-sketch": "imagenet-sketch",
}
_BENCHMARK = "benchmark-infer-"
_BY_ARCHITECTURE = "the source names no weights: matched by architecture and image size"

# (model, image size in pixels)
Key = tuple[str, int]
Cells = dict[str, str]


@dataclass(frozen=True)
class Imported:
    """What a source yielded: rows that match an entry, and how many match none.

    ``other_size`` counts those among the unmatched whose model is an entry at another image size.
    """

    rows: tuple[Row, ...]
    unmatched: int
    other_size: int


@dataclass(frozen=True)
class _Line:
    """One line of a source: the model as it is called there, and the fields of a `Row`."""

    model: str
    img_size: int
    fields: dict[str, Any]
    where: str


def import_claims(source: str, entries: Iterable[Entry]) -> Imported:
    """Match a source's figures with entries.

    ``source`` is ``torchvision``, for the metadata of the installed one, or a file of timm's
    results: ``results-*.csv`` (accuracy) or ``benchmark-infer-*.csv`` (speed).

    Raises:
        ClaimsError: the file cannot be read, or is of neither form.
        ZoobenchError: an entry names what its library does not have.
    """
    if source == TORCHVISION:
        return _matched(source, _torchvision_lines(), _keys(entries, TORCHVISION, _tagged))
    path = Path(source)
    lines = _read(path)
    columns = lines[0][1].keys() if lines else set()
    if "infer_samples_per_sec" in columns:
        found = [_benchmark_line(path, number, cells) for number, cells in lines]
        return _matched(path.stem, found, _keys(entries, "timm", _architecture))
    if {"top1", "param_count", "crop_pct"} <= columns:
        found = [_accuracy_line(path, number, cells) for number, cells in lines]
        return _matched(path.stem, found, _keys(entries, "timm", _tagged))
    raise ClaimsError(
        f"{path}: is no file of timm's results: it needs the columns of an accuracy file (model, "
        "img_size, top1, param_count, crop_pct, interpolation) or of an inference benchmark "
        "(model, infer_img_size, infer_samples_per_sec)"
    )


def _matched(table: str, lines: Sequence[_Line], keys: dict[Key, list[Entry]]) -> Imported:
    rows: list[Row] = []
    unmatched = other_size = 0
    models = {model for model, _ in keys}
    for line in lines:
        entries = keys.get((line.model, line.img_size), [])
        rows += [_row(table, len(rows) + i, line, entry) for i, entry in enumerate(entries, 1)]
        unmatched += not entries
        other_size += not entries and line.model in models
    return Imported(tuple(rows), unmatched, other_size)


def _row(table: str, position: int, line: _Line, entry: Entry) -> Row:
    fields = dict(line.fields)
    resize_px = fields.pop("resize_px", None)
    own_px = build.preprocess(entry).resize_px
    if resize_px is not None and own_px != (resize_px, resize_px):
        notes = (fields.get("note"), f"the entry resizes to {own_px[0]} px, not {resize_px} px")
        fields["note"] = "; ".join(filter(None, notes))
    try:
        return Row(
            table=table,
            position=position,
            row=line.model,
            group=entry.family or "",
            entry=entry.name,
            img_size=line.img_size,
            **fields,
        )
    except ValidationError as error:
        item = error.errors()[0]
        raise ClaimsError(
            f"{line.where}: {item['loc'][0]}: {item['msg']} (got {item['input']!r})"
        ) from None


def _keys(
    entries: Iterable[Entry], library: str, name_of: Callable[[Entry], str | None]
) -> dict[Key, list[Entry]]:
    """Return the library's entries by what a source would call them; other shapes match nothing."""
    keys: dict[Key, list[Entry]] = defaultdict(list)
    for entry in entries:
        if (entry.library or entry.source) != library or entry.arguments.keys() - {"img_size"}:
            continue
        name = name_of(entry)
        if name is None:
            continue
        build.check(entry)
        height, width = build.preprocess(entry).crop_px
        if height == width:
            keys[name, height].append(entry)
    return keys


def _tagged(entry: Entry) -> str | None:
    """Return ``architecture.tag``; None for weights that the library does not publish."""
    tag = entry.weights.tag if entry.weights else None
    return f"{entry.architecture}.{tag}" if tag else None


def _architecture(entry: Entry) -> str:
    return entry.architecture


def _read(path: Path) -> list[tuple[int, Cells]]:
    """Return (line number, cells by column) of a CSV file."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, strict=True, restval="")
            return [(reader.line_num, cells) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ClaimsError(
            f"{path}: cannot be read as CSV: {error}; give a file of timm's results, or the word "
            f"{TORCHVISION}"
        ) from None


def _accuracy_line(path: Path, number: int, cells: Cells) -> _Line:
    where = f"{path}: line {number}"
    size = _whole(cells, "img_size", where)
    crop_pct = _positive(cells, "crop_pct", where)
    fields = {
        "entry_match": "exact",
        "params_m": _number(cells, "param_count"),
        "top1_pct": _number(cells, "top1"),
        "dataset": _DATASETS.get(path.stem, f"unknown: {path.name}"),
        "source": f"timm, {path.name}",
        "conditions": f"resize by crop_pct {cells['crop_pct']}, {cells.get('interpolation', '')}",
        "resize_px": math.floor(size / crop_pct),
    }
    return _Line(cells["model"], size, fields, where)


def _benchmark_line(path: Path, number: int, cells: Cells) -> _Line:
    where = f"{path}: line {number}"
    machine = path.stem.removeprefix(_BENCHMARK).replace("-", " ")
    if not path.stem.startswith(_BENCHMARK):
        machine = "machine unknown (the file's name does not say it)"
    fields = {
        "entry_match": "architecture",
        "params_m": _number(cells, "param_count"),
        "gflops": _number(cells, "infer_gmacs"),
        "images_per_s": _number(cells, "infer_samples_per_sec"),
        "source": f"timm, {path.name}",
        "conditions": f"images/s: {machine}, batch {cells.get('infer_batch_size', '')}",
        "note": _BY_ARCHITECTURE,
    }
    return _Line(cells["model"], _whole(cells, "infer_img_size", where), fields, where)


def _torchvision_lines() -> list[_Line]:
    from torchvision import __version__, models

    names = models.list_models(module=models)
    return [
        _torchvision_line(f"{name}.{weights.name}", weights, __version__)
        for name in names
        for weights in models.get_model_weights(name)
    ]


def _torchvision_line(model: str, weights: Any, version: str) -> _Line:
    """Read one set of weights; its metadata states GMACs and accuracy to three decimals."""
    preset = weights.transforms()
    source = f"torchvision {version}, metadata of the weights"
    fields = {
        "entry_match": "exact",
        "params_m": f"{weights.meta['num_params'] / 1e6:.6f}",
        "gflops": f"{weights.meta['_ops']:.3f}",
        "top1_pct": f"{weights.meta['_metrics']['ImageNet-1K']['acc@1']:.3f}",
        "dataset": "imagenet-1k",
        "source": source,
        "conditions": f"resize to {preset.resize_size[0]} px, {preset.interpolation.value}",
        "resize_px": preset.resize_size[0],
        "note": f"file of {weights.meta['_file_size']:.3f} MB",
    }
    return _Line(model, preset.crop_size[0], fields, f"{source} {model}")


def _number(cells: Cells, column: str) -> str:
    """Return a number as it is printed, without the commas between thousands."""
    return cells.get(column, "").replace(",", "")


def _whole(cells: Cells, column: str, where: str) -> int:
    text = cells.get(column, "")
    if not text.isdecimal() or int(text) == 0:
        raise ClaimsError(f"{where}: {column}: no positive whole number (got {text!r})")
    return int(text)


def _positive(cells: Cells, column: str, where: str) -> float:
    text = cells.get(column, "")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number > 0:
        raise ClaimsError(f"{where}: {column}: no positive number (got {text!r})")
    return number
