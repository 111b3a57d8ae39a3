"""Measurements, one file each, named here: each takes a ``Row`` and returns its evidence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import Any, cast

from bench.data.dataset import Dataset, open_dataset
from bench.plan import Job, default_batch_size, resolve_memory_format
from bench.records import BatchPolicy, Evidence, Measure, RowKey
from zoo import build
from zoo.build import WeightsFile
from zoo.entry import Entry, Preprocess
from zoo.errors import DataError

MEASURES: dict[Measure, str] = {
    "complexity": "bench.measure.complexity:run",
    "accuracy": "bench.measure.accuracy:run",
    "throughput": "bench.measure.throughput:run",
    "latency": "bench.measure.latency:run",
    "training": "bench.measure.train:run",
}

# (done, total, what is counted)
Progress = Callable[[int, int, str], None]
Tell = Callable[[str], None]


def _tell_nobody(text: str) -> None:
    pass


@dataclass(frozen=True)
class Result:
    """Evidence, for accuracy the Parquet file of the predictions, and further conditions."""

    evidence: Evidence
    predictions: bytes | None = None
    conditions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """A batch size, how it came about, and of an automatic one what keeps it from being larger."""

    size: int
    policy: BatchPolicy
    note: str | None = None


@dataclass(frozen=True)
class Row:
    """One row being measured: its job, with what the job's words mean on this machine."""

    job: Job
    device: str
    device_name: str
    progress: Progress
    # Tells the user something about the row that is no failure.
    tell: Tell = _tell_nobody
    # An automatic batch that was found before.
    found: Batch | None = None

    @property
    def entry(self) -> Entry:
        """Return the entry."""
        return self.job.entry

    @cached_property
    def batch(self) -> Batch:
        """Return the batch that was asked for, the device's default, or the largest that fits.

        Raises:
            MeasureError: the largest was asked for, and not even one image fits.
        """
        asked = self.job.settings.batch_size
        if asked == "auto":
            return self.found or _largest_batch(self)
        if asked is None:
            return Batch(default_batch_size(self.device), "default")
        return Batch(asked, "asked")

    @property
    def batch_size(self) -> int:
        """Return the size of the batch."""
        return self.batch.size

    @cached_property
    def preprocess(self) -> Preprocess:
        """Return the resolved preprocessing."""
        return build.preprocess(self.entry)

    @cached_property
    def dataset(self) -> Dataset:
        """Return the opened dataset; raise DataError if none was given."""
        if self.job.data is None:
            raise DataError("no dataset was given; use --data DIR")
        return open_dataset(self.job.data, labels=self.job.labels, limit=self.job.limit)

    @property
    def images(self) -> range:
        """Return the places of the images that this job evaluates: all, or its shard's."""
        total = len(self.dataset)
        return range(total) if self.job.shard is None else self.job.shard.of(total)

    @cached_property
    def weights(self) -> WeightsFile:
        """Return the weights' file; raise WeightsError if they cannot be had."""
        return build.find_weights(self.entry)

    @property
    def request_size(self) -> int:
        """Return the images of a latency request: the batch that was asked for, or 1."""
        return self._asked_batch or 1

    @property
    def _asked_batch(self) -> int | None:
        asked = self.job.settings.batch_size
        return asked if isinstance(asked, int) else None

    def _batch_size_of(self, measure: Measure) -> int | None:
        """Return the batch in a measurement's key.

        Counting has none, and an automatic one would take a search. Nor have requests of the
        default size, whose latency belongs to every batch size of the row's throughput.
        """
        if measure == "complexity":
            return None
        return self._asked_batch if measure == "latency" else self.batch_size

    def key(self, measure: Measure) -> RowKey:
        """Return the key of the measurement, with only the fields that it depends on."""
        accuracy = measure == "accuracy"
        settings = self.job.settings
        height, width = self.preprocess.crop_px
        return RowKey(
            entry=self.entry.name,
            network=self.entry.network_id,
            input_px=f"{height}x{width}",
            weights_sha256=self.weights.sha256 if accuracy else None,
            weights_options=self.weights.options if accuracy else None,
            preprocess=self.preprocess.describe() if accuracy else None,
            dataset_digest=self.dataset.digest if accuracy else None,
            device=self.device.partition(":")[0],
            device_name=self.device_name,
            precision=settings.precision,
            memory_format=resolve_memory_format(settings, self.device),
            compile=settings.compile,
            batch_size=self._batch_size_of(measure),
            decoder=settings.decoder if accuracy else None,
            shard=self.job.shard,
        ).of(measure)


def measure(name: Measure, row: Row) -> Result:
    """Run one measurement of a row.

    Raises:
        ZoobenchError: it cannot be measured; the message says why.
    """
    module, _, function = MEASURES[name].partition(":")
    return cast(Callable[[Row], Result], getattr(import_module(module), function))(row)


def _largest_batch(row: Row) -> Batch:
    from bench.measure import batch  # torch, which this module does without

    return batch.find(row)


__all__ = ["MEASURES", "Batch", "Progress", "Result", "Row", "measure"]
