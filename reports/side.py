"""One side of a comparison: the evidence that figures are judged by, from a store or a CSV.

Counts, the class that was predicted for each image, and the speeds of one or several runs.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import pandas as pd
import pyarrow as pa
from pydantic import Field, model_validator

from bench.records import (
    Accuracy,
    Complexity,
    Evidence,
    Latency,
    Measure,
    Natural,
    Record,
    RowKey,
    Timed,
)
from bench.shards import load_predictions, whole_records
from bench.stats import summarize
from bench.store import Store
from bench.strict_json import problem
from reports.frame import images_per_reference
from zoo.entry import Model
from zoo.errors import ReportError

# What a speed depends on beyond its key; a new library is what a comparison is made for.
MACHINE = ("processor", "processor_id", "cores", "torch_threads", "threads", "malloc", "allocator")
# Speeds, as columns of the frame, and the measurement that each is of.
SpeedFigure = Literal[
    "images_per_s", "latency_p50_s", "train_images_per_s", "end_to_end_images_per_s"
]
SPEEDS: dict[SpeedFigure, Measure] = {
    "images_per_s": "throughput",
    "latency_p50_s": "latency",
    "train_images_per_s": "training",
    "end_to_end_images_per_s": "accuracy",
}
PositiveNumber = Annotated[float, Field(gt=0)]
PREDICTION_DTYPES = {"image": "string", "label": "int32", "pred": "int32", "right": "bool"}


class Counts(Model):
    """Parameters and multiply-adds of one network."""

    kind: ClassVar[str] = "counts"
    measure: ClassVar[Measure] = "complexity"
    machine: ClassVar[dict[str, Any]] = {}
    key: RowKey
    params: Natural
    macs: Natural


class Run(Model):
    """One measured speed: when, how fast, and by which software.

    ``latency_p50_s`` is the median request of a latency; every other speed has ``images_per_s``.
    ``images_per_reference`` is in units of the reference work of that version, where it ran.
    """

    measured_at: str
    images_per_s: PositiveNumber | None = None
    latency_p50_s: PositiveNumber | None = None
    images_per_reference: PositiveNumber | None = None
    reference_version: int | None = None
    torch: str | None = None
    git_commit: str | None = None

    @model_validator(mode="after")
    def _has_one_value(self) -> Self:
        if (self.images_per_s is None) == (self.latency_p50_s is None):
            raise ValueError("a run has images_per_s or latency_p50_s")
        return self

    @property
    def value(self) -> float:
        """Return images/s, or the seconds of a latency."""
        value = self.images_per_s or self.latency_p50_s
        assert value is not None
        return value


class Speed(Model):
    """The speeds of one row on one machine, oldest first; ``figure`` is a column of the frame."""

    key: RowKey
    figure: SpeedFigure
    machine: dict[str, Any]
    runs: tuple[Run, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_runs_of_its_figure(self) -> Self:
        if any((run.latency_p50_s is not None) != self.is_latency for run in self.runs):
            raise ValueError(f"runs of something else than {self.figure}")
        return self

    @property
    def is_latency(self) -> bool:
        """Return whether its runs are seconds, of which fewer are better."""
        return self.figure == "latency_p50_s"

    @property
    def unit(self) -> str:
        """Return the unit of its runs."""
        return "s" if self.is_latency else "images/s"

    @property
    def kind(self) -> str:
        """Return what it can be compared with."""
        return self.figure

    @property
    def measure(self) -> Measure:
        """Return the measurement that the figure is of."""
        return SPEEDS[self.figure]

    @property
    def where(self) -> tuple[str, RowKey, str]:
        """Return what its runs have in common: figure, row and machine."""
        return self.figure, self.key, repr(sorted(self.machine.items()))


@dataclass(frozen=True)
class Answers:
    """The predicted class of each image: columns ``image``, ``label``, ``pred``, ``right``.

    ``images_in_dataset`` is None in baselines of schemas before 3; ``verified`` says whether the
    predictions have the sha256 that was recorded of them.
    """

    kind: ClassVar[str] = "answers"
    measure: ClassVar[Measure] = "accuracy"
    machine: ClassVar[dict[str, Any]] = {}
    key: RowKey
    content_sha256: str
    frame: pd.DataFrame
    images_in_dataset: int | None = None
    verified: bool = True

    @property
    def unread(self) -> int:
        """Return how many images of the dataset have no answer."""
        return 0 if self.images_in_dataset is None else self.images_in_dataset - len(self.frame)

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
    found = whole_records(store)
    newest = {
        (record.measure, record.key): (folders, record)
        for folders, record in found
        if record.evidence is not None
    }
    whole = (item for each in newest.values() for item in _whole(store, *each))
    notes = [
        (figure, record.key, note)
        for _, record in found
        if (figure := _speed_of(record.evidence)) and (note := _no_speed(record.evidence))
    ]
    return Side(
        url,
        (*whole, *_together(speed for _, record in found for speed in _speeds(record))),
        tuple((r.measure, r.key, str(r.reason)) for _, r in found if r.evidence is None),
        tuple(notes),
    )


def _whole(store: Store, folders: Sequence[str], record: Record) -> Iterator[Counts | Answers]:
    """Yield what a record says by itself; a speed is one run of several."""
    evidence = record.evidence
    if isinstance(evidence, Complexity):
        yield Counts(key=record.key, params=evidence.params, macs=evidence.macs)
    elif isinstance(evidence, Accuracy) and record.predictions:
        frame = predictions_frame(load_predictions(store, folders))
        yield Answers(
            record.key,
            evidence.content_sha256,
            frame,
            evidence.images_in_dataset,
            verified=record.predictions_sha256 is not None,
        )


def _together(speeds: Iterable[Speed]) -> list[Speed]:
    """Return the runs of one row on one machine as one; the machine of the newest run is last."""
    found: dict[tuple[str, RowKey, str], Speed] = {}
    for speed in speeds:
        earlier = found.pop(speed.where, None)
        runs = (*(earlier.runs if earlier else ()), *speed.runs)
        found[speed.where] = speed.model_copy(update={"runs": runs})
    return list(found.values())


def side_of_csv(path: Path) -> Side:
    """Return the counts of a CSV; of accuracies and speeds it does not hold the evidence.

    Raises:
        ReportError: the file cannot be read.
    """
    from reports.baseline import load_csv

    frame = load_csv(path)
    counted = frame[frame["params"].notna() & frame["macs"].notna()]
    rows = counted[["entry", "network", "input_px", "params", "macs"]].drop_duplicates()
    try:
        items = tuple(
            Counts(
                key=RowKey(entry=row["entry"], network=row["network"], input_px=row["input_px"]),
                params=int(row["params"]),
                macs=int(row["macs"]),
            )
            for row in rows.to_dict("records")
        )
    except ValueError as error:
        raise ReportError(f"{path}: not a file of counts: {problem(error)}") from None
    return Side(str(path), items)


def predictions_frame(table: pa.Table) -> pd.DataFrame:
    """Return images, labels and predicted classes of the content of a file of predictions.

    An image of several right labels has them in ``labels``; a baseline's file says what is right.
    """
    frame = table.to_pandas(use_threads=False)
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
    figure = _speed_of(record.evidence)
    if figure is None or _no_speed(record.evidence):
        return
    known = record.conditions
    run = Run(
        measured_at=record.started_at,
        **_value(record.evidence),
        **_in_references(record.evidence),
        torch=known.get("torch"),
        git_commit=known.get("git_commit"),
    )
    machine = {name: known[name] for name in MACHINE if name in known}
    yield Speed(key=record.key, figure=figure, machine=machine, runs=(run,))


def _speed_of(evidence: Evidence | None) -> SpeedFigure | None:
    """Return the speed that a measurement yields."""
    kind = None if evidence is None else evidence.kind
    return next((figure for figure, measure in SPEEDS.items() if measure == kind), None)


def _no_speed(evidence: Evidence | None) -> str | None:
    """Return why a measurement yields no speed to compare, or None if it does."""
    if isinstance(evidence, Timed):
        slowed = evidence.gpu.throttled_steps if evidence.gpu else None
        return f"{len(slowed)} steps ran while the GPU was slowed down" if slowed else None
    whole = evidence.end_to_end if isinstance(evidence, Accuracy) else None
    if whole is None:
        return "no pass was timed"
    if whole.pixels != "files":
        return "from cached pixels, which is no end-to-end figure"
    if whole.also_made:
        return f"the pass also made the pixels of {whole.also_made} more geometries"
    return None


def _in_references(evidence: Evidence | None) -> dict[str, Any]:
    if not isinstance(evidence, Timed) or evidence.reference is None:
        return {}
    return {
        "images_per_reference": images_per_reference(evidence),
        "reference_version": evidence.reference.version,
    }


def _value(evidence: Evidence | None) -> dict[str, Any]:
    """Return the field of a run that has the measured speed."""
    if isinstance(evidence, Latency):
        return {"latency_p50_s": summarize(evidence.steps_s).median_s}
    if isinstance(evidence, Timed):
        return {"images_per_s": evidence.batch_size / summarize(evidence.steps_s).median_s}
    assert isinstance(evidence, Accuracy)
    assert evidence.end_to_end is not None
    return {"images_per_s": evidence.end_to_end.images / evidence.end_to_end.seconds}
