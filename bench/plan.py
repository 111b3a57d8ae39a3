"""From what a user asks for to the rows to be measured: plain data, for any executor."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from bench.data.preprocess import geometry
from bench.records import (
    MEASURE_OF,
    REFERENCE_DECODER,
    CompileMode,
    Figure,
    Measure,
    MemoryFormat,
    Precision,
    Shard,
)
from zoo.entry import Entry, Model, Preprocess

# What is timed on its device, where nothing may run beside it.
_TIMED: set[Measure] = {"throughput", "latency", "training"}


class Settings(Model):
    """How a row is measured; what changes a figure's meaning here is part of its key."""

    device: str = "auto"
    precision: Precision = "fp32"
    # auto: resolved before the key is made, by resolve_memory_format.
    memory_format: MemoryFormat | Literal["auto"] = "auto"
    compile: CompileMode = "eager"
    # None: 32 on a CPU, 256 on a GPU. "auto": the largest that fits.
    batch_size: int | Literal["auto"] | None = None
    decoder: str = REFERENCE_DECODER


def resolve_memory_format(settings: Settings, device: str) -> MemoryFormat:
    """Return the memory format that ``auto`` stands for on a resolved device.

    Channels last is the faster one on a CPU (docs/decode.md has by how much). On CUDA it is what
    tensor cores take: ResNet-50 in tf32 runs 1.21 times as fast (benchmarks/results). fp32 without
    tensor cores keeps torch's own format.
    """
    if settings.memory_format != "auto":
        return settings.memory_format
    tensor_cores = settings.precision in ("tf32", "bf16", "fp16", "amp")
    return "channels_last" if tensor_cores or not device.startswith("cuda") else "contiguous"


def default_batch_size(device: str) -> int:
    """Return the batch on a resolved device where none was asked for."""
    return 256 if device.startswith("cuda") else 32


class Job(Model):
    """One row to measure, or one shard of it: an entry, its figures, settings and data.

    An executor that measures several rows at once says with ``cores`` how many of them this one may
    use (None: all), and with ``alone`` that no neighbour disturbs its end-to-end pass.
    """

    entry: Entry
    figures: tuple[Figure, ...]
    settings: Settings
    store: str
    data: str | None
    labels: str
    limit: int | None
    retry_failed: bool
    # How large the pixel cache may grow. None: as much as is sensible here. 0: there is none.
    cache_bytes: int | None = None
    # Other geometries that later rows need of the same images.
    also: tuple[Preprocess, ...] = ()
    # The relative standard error that timed medians must get to; None: the budget's floors do.
    target_rse: float | None = None
    shard: Shard | None = None
    cores: int | None = None
    alone: bool = True

    @property
    def is_timed(self) -> bool:
        """Return whether it is timed on its device, so that no other row may run there."""
        return bool(_TIMED & set(self.measures))

    @property
    def only_counts(self) -> bool:
        """Return whether nothing is timed, so that other such rows may run beside it."""
        return self.measures == ("complexity",)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Return the measurements that yield the figures, each once, in a fixed order."""
        wanted = {MEASURE_OF[figure] for figure in self.figures}
        # Throughput before accuracy, whose lanes would leave their memory in the process.
        order: tuple[Measure, ...] = (
            *("complexity", "throughput", "latency", "training"),
            "accuracy",
        )
        return tuple(measure for measure in order if measure in wanted)


def plan(
    entries: Iterable[Entry],
    *,
    figures: Sequence[Figure],
    settings: Settings,
    batches: Sequence[int | Literal["auto"] | None],
    store: str,
    data: str | None,
    labels: str,
    limit: int | None,
    retry_failed: bool,
    cache_bytes: int | None = None,
    target_rse: float | None = None,
    shards: int = 1,
    apart: bool = False,
) -> list[Job]:
    """Return one job for each entry and batch size, or several.

    Args:
        shards: into how many jobs an evaluation is cut.
        apart: whether what is timed and what is not are jobs of their own, so that the latter may
            run side by side.
    """
    return [
        Job(
            entry=entry,
            figures=some,
            settings=settings.model_copy(update={"batch_size": batch}),
            store=store,
            data=data,
            labels=labels,
            limit=limit,
            retry_failed=retry_failed,
            cache_bytes=cache_bytes,
            target_rse=target_rse,
            shard=shard,
        )
        for entry in entries
        for batch in batches
        for some, shard in _parts(tuple(figures), shards, apart=apart)
    ]


def share_pixels(jobs: Sequence[Job], preprocess_of: Mapping[str, Preprocess | None]) -> list[Job]:
    """Return the jobs, those with the same pixels beside one another, each told what is to come.

    Args:
        jobs: of any entries and datasets.
        preprocess_of: the resolved preprocessing of each entry, by its name.
    """
    groups: dict[object, list[Job]] = {}
    for job in jobs:
        preprocess = preprocess_of.get(job.entry.name) if "top1" in job.figures else None
        group = job.entry.name if preprocess is None else (images_of(job), geometry(preprocess))
        groups.setdefault(group, []).append(job)
    shared: list[Job] = []
    later: dict[object, dict[str, Preprocess]] = {}
    for job in reversed([job for group in groups.values() for job in group]):
        preprocess = preprocess_of.get(job.entry.name) if "top1" in job.figures else None
        if preprocess is None:
            shared.append(job)
            continue
        wanted = later.setdefault(images_of(job), {})
        mine = geometry(preprocess)
        also = tuple(other for name, other in wanted.items() if name != mine)
        shared.append(job.model_copy(update={"also": also}))
        wanted.setdefault(mine, preprocess)
    return shared[::-1]


def images_of(job: Job) -> object:
    """Return what tells the images of one job from those of another."""
    return job.data, job.labels, job.limit, job.settings.decoder, job.shard


def _parts(
    figures: tuple[Figure, ...], shards: int, *, apart: bool
) -> Iterable[tuple[tuple[Figure, ...], Shard | None]]:
    """Yield the figures of each job of a row, and the job's shard: what is timed comes last."""
    if "top1" not in figures or (shards == 1 and not apart):
        yield figures, None
        return
    timed = tuple(figure for figure in figures if MEASURE_OF[figure] in _TIMED)
    yield tuple(figure for figure in figures if figure not in timed), _shard(1, shards)
    for index in range(2, shards + 1):
        yield ("top1",), _shard(index, shards)
    if timed:
        yield timed, None


def _shard(index: int, count: int) -> Shard | None:
    return Shard(index=index, count=count) if count > 1 else None
