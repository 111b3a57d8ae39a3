"""The reviewed baseline of a gate: a folder with ``baseline.json`` and ``predictions/``.

The JSON is made to be reviewed as a difference: a line a value, rows sorted by key. It holds the
counts, the speeds of several runs, and which Parquet file has the predictions of a row.
"""

import hashlib
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import pandas as pd
import pyarrow as pa
from pydantic import Field

from bench.durable import make_folder, sync_folder, write_durably
from bench.records import ROW_FIELDS, Natural, Positive, RowKey
from bench.shards import table_of
from bench.strict_json import loads, problem
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
from zoo.errors import ReportError, first_line

# 2: speeds in units of the reference work; what has none reads as 1 did. 3: the sha256 of the
# predictions, and the size of the dataset. 4: latencies.
SCHEMA_VERSION: Literal[4] = 4
_READS = (1, 2, 3, 4)
INDEX = "baseline.json"
PREDICTIONS = "predictions"
T = TypeVar("T", Counts, Answers, Speed)
# What an update writes, and what one that was killed leaves; all other files are the user's.
_PREDICTIONS_NAME = r".+-[0-9a-f]{12}-[0-9a-f]{12}\.parquet"
_PART_NAME = re.compile(rf"\.({re.escape(INDEX)}|{_PREDICTIONS_NAME})\.[0-9a-f]{{8}}")


class _AnswersFile(Model):
    """The file of a row's predictions; the counts are there to be read in a review."""

    key: RowKey
    content_sha256: str
    images_in_dataset: Positive | None = None
    images: Positive
    correct_top1: Natural
    file: Annotated[str, Field(pattern=r"^[^/\\]+$")]
    sha256: str | None = None


class _Index(Model):
    schema_version: Literal[1, 2, 3, 4] = SCHEMA_VERSION
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
    index = _load_index(folder)
    answers = [_load_answers(folder, item) for item in index.answers]
    return Side(str(folder), (*index.counts, *answers, *index.speeds))


def _load_index(folder: Path) -> _Index:
    path = folder / INDEX
    try:
        content = loads(path.read_bytes())
        version = content.get("schema_version") if isinstance(content, dict) else None
        if type(version) is not int or version not in _READS:
            raise ReportError(
                f"{path}: schema {version!r}, this zoobench reads 1 to {SCHEMA_VERSION}; make it "
                "again with: zoobench compare STORE --baseline DIR --update"
            )
        return _Index.model_validate(content)
    except OSError as error:
        raise ReportError(
            f"{path}: cannot be read: {error.strerror}; a baseline is made with: "
            "zoobench compare STORE --baseline DIR --update"
        ) from None
    except (ValueError, RecursionError) as error:
        reason = problem(error) if isinstance(error, ValueError) else "too deep"
        raise ReportError(
            f"{path}: not a baseline: {reason}; restore it, or "
            "make another with: zoobench compare STORE --baseline DIR --update"
        ) from None


def _load_answers(folder: Path, item: _AnswersFile) -> Answers:
    path = folder / PREDICTIONS / item.file
    try:
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        if item.sha256 not in (None, sha256):
            raise ValueError(f"sha256 {sha256[:12]}…, and {INDEX} says {item.sha256[:12]}…")
        frame = _frame(content)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise ReportError(
            f"{path}: cannot be read: {reason}; take it and {folder / INDEX} from one commit"
        ) from None
    found = Answers(
        item.key,
        item.content_sha256,
        frame,
        item.images_in_dataset,
        verified=item.sha256 is not None,
    )
    if (len(found.frame), found.correct) != (item.images, item.correct_top1):
        raise ReportError(
            f"{path}: {found.correct} of {len(found.frame)} right, and {folder / INDEX} says "
            f"{item.correct_top1} of {item.images}; take both from one commit"
        )
    return found


def write_baseline(folder: Path, side: Side) -> None:
    """Write a baseline into a folder, or into the one that a link leads to.

    Only its own files are written, each at once and durably, ``baseline.json`` as the last: until
    then the old one, with all files that it names, is as it was. What only the old one needed is
    removed thereafter. Cut off at any moment, the same call ends the work.

    Raises:
        ReportError: it cannot be written, or the folder has other files and no baseline.
    """
    folder = folder.resolve()
    try:
        _check_is_free(folder)
        before = _files_of(folder)
        make_folder(folder / PREDICTIONS)
        files = [_write_answers(folder, item) for item in _sorted(side.items, Answers)]
        index = _Index(
            counts=tuple(_sorted(side.items, Counts)),
            answers=tuple(files),
            speeds=tuple(_sorted(side.items, Speed)),
        )
        text = index.model_dump_json(indent=1, exclude_none=True) + "\n"
        write_durably((folder / INDEX).resolve(), text.encode())
        _remove_superseded(folder, before - {item.file for item in files}, keep=files)
    except OSError as error:
        raise ReportError(
            f"{folder}: cannot be written: {error.strerror}; what was there is kept"
        ) from None


def _check_is_free(folder: Path) -> None:
    """Raise ReportError if a folder has files of something else and no baseline."""
    if not folder.exists() or is_baseline(str(folder)):
        return
    if not folder.is_dir():
        raise ReportError(f"{folder}: is a file; name a folder")
    for path in folder.iterdir():
        if path.name != PREDICTIONS and not _PART_NAME.fullmatch(path.name):
            raise ReportError(
                f"{folder}: contains {path.name}, and no baseline; name a new folder, or one "
                "that has a baseline"
            )


def _files_of(folder: Path) -> set[str]:
    """Return the files of predictions that a baseline names; none if there is none to read."""
    try:
        return {item.file for item in _load_index(folder).answers}
    except ReportError:
        return set()


def _write_answers(folder: Path, item: Answers) -> _AnswersFile:
    """Write predictions, unless they are there: the name says what they are."""
    path = folder / PREDICTIONS / _file_name(item)
    content = _content_of(path, item.frame)
    if content is None:
        content = _parquet(item.frame)
        write_durably(path, content)
    return _AnswersFile(
        key=item.key,
        content_sha256=item.content_sha256,
        images_in_dataset=item.images_in_dataset,
        images=len(item.frame),
        correct_top1=item.correct,
        file=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _content_of(path: Path, frame: pd.DataFrame) -> bytes | None:
    """Return a file's bytes if it holds these predictions, by whichever version of Arrow."""
    try:
        content = path.read_bytes()
        return content if _frame(content).equals(frame) else None
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None


def _remove_superseded(folder: Path, old: set[str], keep: Iterable[_AnswersFile]) -> None:
    """Remove the old baseline's files, and what an update that was killed has left."""
    kept = {item.file for item in keep}
    own = re.compile(_PREDICTIONS_NAME)
    for path in (folder / PREDICTIONS).iterdir():
        superseded = path.name in old or (own.fullmatch(path.name) and path.name not in kept)
        if superseded or _PART_NAME.fullmatch(path.name):
            path.unlink(missing_ok=True)
    for path in folder.iterdir():
        if _PART_NAME.fullmatch(path.name):
            path.unlink(missing_ok=True)
    sync_folder(folder / PREDICTIONS)


def _sorted(items: Iterable[Item], kind: type[T]) -> list[T]:
    own = [item for item in items if isinstance(item, kind)]
    return sorted(own, key=lambda item: (item.key.model_dump_json(), str(item.machine)))


def _file_name(item: Answers) -> str:
    """Return a name that identifies a row and its predictions."""
    key = item.key.model_dump_json(include=set(ROW_FIELDS)).encode()
    content = pd.util.hash_pandas_object(item.frame, index=False).to_numpy().tobytes()
    digests = (hashlib.sha256(each).hexdigest()[:12] for each in (key, content))
    return "-".join((item.key.entry.replace("/", "_"), *digests)) + ".parquet"


def _frame(content: bytes) -> pd.DataFrame:
    return predictions_frame(table_of(content))


def _parquet(frame: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.astype(PREDICTION_DTYPES).to_parquet(sink, index=False, compression="zstd")
    return sink.getvalue()
