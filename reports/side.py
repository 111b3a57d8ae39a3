"""One side of a comparison: the evidence that figures are judged by, from a store or a CSV.

Counts, the class that was predicted for each image, and the speeds of one or several runs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from bench.records import Accuracy, Complexity, Measure, Record, RowKey, Throughput
from bench.shards import load_predictions, whole_records
from bench.stats import summarize
from bench.store import Store
from zoo.entry import Model

# What a speed depends on beyond its key; a new library is what a comparison is made for.
MACHINE = ("processor", "processor_id", "cores", "torch_threads", "allocator")
# Speeds, as columns of the frame, and the measurement that each is of.
SPEEDS: dict[str, Measure] = {"images_per_s": "throughput", "end_to_end_images_per_s": "accuracy"}
PREDICTION_DTYPES = {"image": "string", "label": "int32", "pred": "int32", "right": "bool"}


class Counts(Model):
    """Parameters and multiply-adds of one network."""

    kind: ClassVar[str] = "counts"
    measure: ClassVar[Measure] = "complexity"
    machine: ClassVar[dict[str, Any]] = {}
    key: RowKey
    params: int
    macs: int


class Run(Model):
    """One measured speed: when, how fast, and by which software."""

    measured_at: str
    images_per_s: float
    torch: str | None = None
    git_commit: str | None = None


class Speed(Model):
    """The speeds of one row on one machine, oldest first; ``figure`` is a column of the frame."""

    key: RowKey
    figure: str
    machine: dict[str, Any]
    runs: tuple[Run, ...]

    @property
    def kind(self) -> str:
        """Return what it can be compared with."""
        return self.figure

    @property
    def measure(self) -> Measure:
        """Return the measurement that the figure is of."""
        return SPEEDS[self.figure]


@dataclass(frozen=True)
class Answers:
    """The predicted class of each image: columns ``image``, ``label``, ``pred``, ``right``."""

    kind: ClassVar[str] = "answers"
    measure: ClassVar[Measure] = "accuracy"
    machine: ClassVar[dict[str, Any]] = {}
    key: RowKey
    content_sha256: str
    frame: pd.DataFrame

    @property
    def correct(self) -> int:
        """Return how many answers are right."""
        return int(self.frame["right"].sum())

    @property
    def top1(self) -> float:
        """Return the share of right answers."""
        return self.correct / len(self.frame)


Item = Counts | Answers | Speed


@dataclass(frozen=True)
class Side:
    """What is known of one side.

    ``failures`` are (what was measured, its key, the reason); ``notes`` say of a figure that the
    row was measured and this figure of it was not, and why.
    """

    name: str
    items: tuple[Item, ...]
    failures: tuple[tuple[Measure, RowKey, str], ...] = ()
    notes: tuple[tuple[str, RowKey, str], ...] = ()


def side_of_store(url: str) -> Side:
    """Return the evidence of a store: the newest of each key, and all runs of a speed.

    Raises:
        StoreError: no store there, or one that cannot be read.
    """
    store = Store(url)
    newest: dict[tuple[str, RowKey], Item] = {}
    speeds: dict[tuple[str, RowKey, str], Speed] = {}
    failures: dict[tuple[Measure, RowKey], str] = {}
    notes: dict[tuple[str, RowKey], str] = {}
    for folders, record in whole_records(store):
        if record.evidence is None:
            failures[record.measure, record.key] = str(record.reason)
            continue
        for speed in _speeds(record):
            where = (speed.figure, speed.key, repr(sorted(speed.machine.items())))
            earlier = speeds.pop(where, None)  # to the end: the newest machine stands last
            runs = (*(earlier.runs if earlier else ()), *speed.runs)
            speeds[where] = speed.model_copy(update={"runs": runs})
        if isinstance(record.evidence, Complexity):
            counts = Counts(
                key=record.key, params=record.evidence.params, macs=record.evidence.macs
            )
            newest["counts", record.key] = counts
        elif isinstance(record.evidence, Accuracy) and record.predictions:
            frame = predictions_frame(load_predictions(store, folders).to_pandas())
            newest["answers", record.key] = Answers(
                record.key, record.evidence.content_sha256, frame
            )
            if note := _no_end_to_end(record.evidence):
                notes["end_to_end_images_per_s", record.key] = note
    return Side(
        url,
        (*newest.values(), *speeds.values()),
        tuple((measure, key, reason) for (measure, key), reason in failures.items()),
        tuple((figure, key, note) for (figure, key), note in notes.items()),
    )


def side_of_csv(path: Path) -> Side:
    """Return the counts of a CSV; of accuracies and speeds it does not hold the evidence.

    Raises:
        ReportError: the file cannot be read.
    """
    from reports.baseline import load_csv

    frame = load_csv(path)
    counted = frame[frame["params"].notna() & frame["macs"].notna()]
    rows = counted[["entry", "network", "input_px", "params", "macs"]].drop_duplicates()
    items = tuple(
        Counts(
            key=RowKey(entry=row["entry"], network=row["network"], input_px=row["input_px"]),
            params=int(row["params"]),
            macs=int(row["macs"]),
        )
        for row in rows.to_dict("records")
    )
    return Side(str(path), items)


def predictions_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return images, labels and predicted classes of the content of a file of predictions.

    An image of several right labels has them in ``labels``; a baseline's file says what is right.
    """
    if "labels" in frame:
        pairs = zip(frame["pred"], frame["labels"], strict=True)
        frame["right"] = [pred in labels for pred, labels in pairs]
    elif "right" not in frame:
        frame["right"] = frame["pred"] == frame["label"]
    return frame[list(PREDICTION_DTYPES)].astype(PREDICTION_DTYPES)


def of_kind(items: Iterable[Item], kind: str) -> list[Item]:
    """Return the items of one kind."""
    return [item for item in items if item.kind == kind]


def _speeds(record: Record) -> Iterator[Speed]:
    for figure, images_per_s in _images_per_s(record):
        known = record.conditions
        yield Speed(
            key=record.key,
            figure=figure,
            machine={name: known[name] for name in MACHINE if name in known},
            runs=(
                Run(
                    measured_at=record.started_at,
                    images_per_s=images_per_s,
                    torch=known.get("torch"),
                    git_commit=known.get("git_commit"),
                ),
            ),
        )


def _images_per_s(record: Record) -> Iterator[tuple[str, float]]:
    evidence = record.evidence
    if isinstance(evidence, Throughput):
        yield "images_per_s", evidence.batch_size / summarize(evidence.steps_s).median_s
    elif isinstance(evidence, Accuracy) and not _no_end_to_end(evidence):
        whole = evidence.end_to_end
        assert whole is not None
        yield "end_to_end_images_per_s", whole.images / whole.seconds


def _no_end_to_end(evidence: Accuracy) -> str | None:
    """Return why a pass is no end-to-end figure, or None if it is."""
    whole = evidence.end_to_end
    if whole is None:
        return "no pass was timed"
    if whole.pixels != "files":
        return "from cached pixels, which is no end-to-end figure"
    if whole.also_made:
        return f"the pass also made the pixels of {whole.also_made} more geometries"
    return None
