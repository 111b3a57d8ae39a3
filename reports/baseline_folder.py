"""The reviewed baseline of a gate: a folder with ``baseline.json`` and ``predictions/``.

The JSON is made to be reviewed as a difference: a line a value, rows sorted by key. It holds the
counts, the speeds of several runs, and which Parquet file has the predictions of a row.
"""

import hashlib
import io
import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

import pandas as pd
from pydantic import ValidationError

from bench.records import ROW_FIELDS, RowKey
from reports.compare import judged
from reports.match import Pair, pairs
from reports.side import (
    PREDICTION_DTYPES,
    Answers,
    Counts,
    Item,
    Side,
    Speed,
    predictions_frame,
    side_of_csv,
    side_of_store,
)
from zoo.entry import Model
from zoo.errors import ReportError

# 2: speeds in units of the reference work; what has none reads as 1 did.
SCHEMA_VERSION: Literal[2] = 2
_READS = (1, 2)
INDEX = "baseline.json"
PREDICTIONS = "predictions"
# Older runs of a row are dropped: machines and their load change.
MAX_RUNS = 20
T = TypeVar("T", Counts, Answers, Speed)


class _AnswersFile(Model):
    """Where a row's predictions lie; the counts are there to be read in a review."""

    key: RowKey
    content_sha256: str
    images: int
    correct_top1: int
    file: str


class _Index(Model):
    schema_version: Literal[1, 2] = SCHEMA_VERSION
    counts: tuple[Counts, ...]
    answers: tuple[_AnswersFile, ...]
    speeds: tuple[Speed, ...]


def is_baseline(where: str) -> bool:
    """Return whether a folder is a baseline."""
    return Path(where, INDEX).is_file()


def side_of(where: str) -> Side:
    """Return what a baseline's folder, a CSV of counts or a store (path or URL) holds.

    Raises:
        ReportError: a baseline or a CSV cannot be read.
        StoreError: no store there, or one that cannot be read.
    """
    if where.endswith(".csv"):
        return side_of_csv(Path(where))
    return load_baseline(Path(where)) if is_baseline(where) else side_of_store(where)


def load_baseline(folder: Path) -> Side:
    """Return what a baseline holds.

    Raises:
        ReportError: it is not there, of another schema, or its files do not fit each other.
    """
    path = folder / INDEX
    try:
        content = json.loads(path.read_bytes())
        version = content.get("schema_version") if isinstance(content, dict) else None
        if version not in _READS:
            raise ReportError(
                f"{path}: schema {version}, this zoobench reads 1 to {SCHEMA_VERSION}; make it "
                "again with: zoobench compare STORE --baseline DIR --update"
            )
        index = _Index.model_validate(content)
        answers = [_load_answers(folder, item) for item in index.answers]
    except OSError as error:
        raise ReportError(
            f"{error.filename}: cannot be read: {error.strerror}; a baseline is made with: "
            "zoobench compare STORE --baseline DIR --update"
        ) from None
    except (ValueError, ValidationError) as error:
        raise ReportError(
            f"{path}: no baseline: {str(error).splitlines()[0]}; restore it, or "
            "make another with: zoobench compare STORE --baseline DIR --update"
        ) from None
    return Side(str(folder), (*index.counts, *answers, *index.speeds))


def _load_answers(folder: Path, item: _AnswersFile) -> Answers:
    path = folder / PREDICTIONS / item.file
    found = Answers(
        item.key,
        item.content_sha256,
        predictions_frame(pd.read_parquet(io.BytesIO(path.read_bytes()))),
    )
    if (len(found.frame), found.correct) != (item.images, item.correct_top1):
        raise ReportError(
            f"{path}: {found.correct} of {len(found.frame)} right, and {folder / INDEX} says "
            f"{item.correct_top1} of {item.images}; take both from one commit"
        )
    return found


def write_baseline(folder: Path, side: Side) -> None:
    """Write a baseline; what was there before is replaced.

    Raises:
        ReportError: it cannot be written, or what is there is no baseline.
    """
    if folder.exists() and not is_baseline(str(folder)) and any(folder.iterdir()):
        raise ReportError(f"{folder}: holds other files than a baseline; name another folder")
    files = {_file_name(item.key): item for item in _sorted(side.items, Answers)}
    index = _Index(
        counts=tuple(_sorted(side.items, Counts)),
        answers=tuple(
            _AnswersFile(
                key=item.key,
                content_sha256=item.content_sha256,
                images=len(item.frame),
                correct_top1=item.correct,
                file=name,
            )
            for name, item in files.items()
        ),
        speeds=tuple(_sorted(side.items, Speed)),
    )
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        (part / PREDICTIONS).mkdir(parents=True)
        for name, item in files.items():
            (part / PREDICTIONS / name).write_bytes(_parquet(item.frame))
        (part / INDEX).write_text(index.model_dump_json(indent=1, exclude_none=True) + "\n")
        old = folder.with_name(f".{folder.name}.old")
        if folder.exists():
            folder.replace(old)
        part.replace(folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise ReportError(f"{folder}: cannot be written: {error.strerror}") from None


def updated(base: Side, head: Side) -> Side:
    """Return the base with all that the head has measured.

    A row of the head takes the place of the base's that it stands for, also where its key is
    another; rows of other machines, and rows that the head lacks, stay. A speed within the noise
    band, or not judged, is one more run; one outside of it starts the row's runs anew.
    """
    found = pairs(base, head)
    kept = [p.base for p in found if p.base is not None and (p.head is None or p.elsewhere)]
    renewed: dict[int, Item] = {}
    for pair in sorted(found, key=lambda pair: bool(pair.differences)):  # its equal first
        if pair.head is not None:
            renewed.setdefault(id(pair.head), _renewed(pair, head))
    return replace(base, items=(*kept, *renewed.values()))


def _renewed(pair: Pair, head: Side) -> Item:
    """Return the head's row, a speed with the base's runs that belong to it."""
    assert pair.head is not None
    if pair.differences or not (isinstance(pair.base, Speed) and isinstance(pair.head, Speed)):
        return pair.head
    if judged(pair, head)[0].verdict in ("slower", "faster"):
        return pair.head
    runs = dict.fromkeys((*pair.base.runs, *pair.head.runs))  # a run again is no other run
    return pair.head.model_copy(update={"runs": tuple(runs)[-MAX_RUNS:]})


def begun_anew(before: Side, after: Side) -> list[Speed]:
    """Return the speeds of an updated baseline that kept none of their earlier runs."""
    known = {item.where: set(item.runs) for item in before.items if isinstance(item, Speed)}
    speeds = (item for item in after.items if isinstance(item, Speed) and item.where in known)
    return [speed for speed in speeds if known[speed.where].isdisjoint(speed.runs)]


def _sorted(items: Iterable[Item], kind: type[T]) -> list[T]:
    own = [item for item in items if isinstance(item, kind)]
    return sorted(own, key=lambda item: (item.key.model_dump_json(), str(item.machine)))


def _file_name(key: RowKey) -> str:
    digest = hashlib.sha256(key.model_dump_json(include=set(ROW_FIELDS)).encode()).hexdigest()[:12]
    return f"{key.entry.replace('/', '_')}-{digest}.parquet"


def _parquet(frame: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.astype(PREDICTION_DTYPES).to_parquet(sink, index=False, compression="zstd")
    return sink.getvalue()
