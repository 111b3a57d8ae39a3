"""From what a user asks for to the rows to be measured: plain data, for any executor."""

from collections.abc import Iterable, Sequence

from bench.records import MEASURE_OF, CompileMode, Figure, Measure, MemoryFormat, Precision
from zoo.entry import Entry, Model


class Settings(Model):
    """How a row is measured; what changes a figure's meaning here is part of its key."""

    device: str = "auto"
    precision: Precision = "fp32"
    memory_format: MemoryFormat = "contiguous"
    compile: CompileMode = "eager"
    # None: 32 on a CPU, 256 on a GPU.
    batch_size: int | None = None


class Job(Model):
    """One row to measure: an entry, its figures, settings and data."""

    entry: Entry
    figures: tuple[Figure, ...]
    settings: Settings
    store: str
    data: str | None
    labels: str
    limit: int | None
    retry_failed: bool

    @property
    def only_counts(self) -> bool:
        """Return whether nothing is timed, so that other such rows may run beside it."""
        return self.measures == ("complexity",)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Return the measurements that yield the figures, each once, in a fixed order."""
        wanted = {MEASURE_OF[figure] for figure in self.figures}
        # Throughput before accuracy, whose lanes would leave their memory in the process.
        order: tuple[Measure, ...] = ("complexity", "throughput", "accuracy")
        return tuple(measure for measure in order if measure in wanted)


def plan(
    entries: Iterable[Entry],
    *,
    figures: Sequence[Figure],
    settings: Settings,
    batches: Sequence[int | None],
    store: str,
    data: str | None,
    labels: str,
    limit: int | None,
    retry_failed: bool,
) -> list[Job]:
    """Return one job for each entry and batch size."""
    return [
        Job(
            entry=entry,
            figures=tuple(figures),
            settings=settings.model_copy(update={"batch_size": batch}),
            store=store,
            data=data,
            labels=labels,
            limit=limit,
            retry_failed=retry_failed,
        )
        for entry in entries
        for batch in batches
    ]
