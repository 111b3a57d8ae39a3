"""What a measurement leaves behind: raw evidence only; figures are made in reports."""

from datetime import UTC, datetime
from math import log
from statistics import median
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from zoo.entry import Model

# 2: the reference work beside timed steps.
SCHEMA_VERSION = 2

Figure = Literal["params", "gmacs", "crosscheck", "top1", "speed", "memory", "train"]
Measure = Literal["complexity", "accuracy", "throughput", "training"]
Precision = Literal["fp32", "tf32", "bf16", "fp16", "amp"]
MemoryFormat = Literal["contiguous", "channels_last"]
CompileMode = Literal["eager", "inductor"]
# How a batch size came about, and why a warm-up and a measurement ended.
BatchPolicy = Literal["asked", "default", "auto"]
WarmedUp = Literal["fixed", "stable", "cap"]
Ended = Literal["floors", "target", "max_steps", "max_seconds"]

# The decoder of the published figures: the others have other pixels.
REFERENCE_DECODER = "pillow"
# Why a count has no second one, where that can still be had by asking for it.
NOT_CHECKED = "not asked for"
FIGURES: tuple[str, ...] = get_args(Figure)
# Which measurement yields a figure that a user asks for.
MEASURE_OF: dict[Figure, Measure] = {
    "params": "complexity",
    "gmacs": "complexity",
    "crosscheck": "complexity",
    "top1": "accuracy",
    "speed": "throughput",
    "memory": "throughput",
    "train": "training",
}


class Shard(Model):
    """One of ``count`` parts of a dataset, by ``index`` from 1; cut as evenly as images allow."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"shard {self.index} of {self.count}"

    def of(self, images: int) -> range:
        """Return the places of the shard's images: consecutive, each in exactly one shard."""
        return range(
            images * (self.index - 1) // self.count,
            images * self.index // self.count,
        )


class RowKey(Model):
    """What identifies a row: two measurements with equal keys measured the same thing.

    A field is None where the measurement does not depend on it: counting operators needs neither
    weights nor a device. ``reports.frame`` joins records whose stated fields agree. ``shard`` tells
    the parts of one evaluation apart; ``bench.shards`` joins them to a record without one.
    """

    entry: str
    network: str
    input_px: str | None = None
    weights_sha256: str | None = None
    # What the manifest takes from the weights' file, and how: key, drop, label offset, key map.
    weights_options: str | None = None
    preprocess: str | None = None
    dataset_digest: str | None = None
    device: str | None = None
    device_name: str | None = None
    precision: Precision | None = None
    memory_format: MemoryFormat | None = None
    compile: CompileMode | None = None
    batch_size: int | None = None
    decoder: str | None = None
    shard: Shard | None = None

    def of(self, measure: Measure) -> "RowKey":
        """Return the key with only the fields that the measurement depends on."""
        dropped = set(_ALL_FIELDS) - set(_DEPENDS_ON[measure])
        return self.model_copy(update=dict.fromkeys(dropped))


_ALL_FIELDS = tuple(RowKey.model_fields)
# What identifies a row of a report, where shards are joined.
ROW_FIELDS = tuple(name for name in _ALL_FIELDS if name != "shard")
# What makes one speed comparable with another.
SETTINGS = ("device", "device_name", "precision", "memory_format", "compile", "batch_size")
_NETWORK = ("entry", "network", "input_px")
_DEPENDS_ON: dict[Measure, tuple[str, ...]] = {
    "complexity": _NETWORK,
    "throughput": (*_NETWORK, *SETTINGS),
    "training": (*_NETWORK, *SETTINGS),
    "accuracy": (
        *(*_NETWORK, *SETTINGS),
        *("weights_sha256", "weights_options", "preprocess", "dataset_digest", "decoder", "shard"),
    ),
}


class UnusedModule(Model):
    """A part of the network that holds parameters and that inference never runs."""

    name: str
    params: int


class Complexity(Model):
    """Counts of one network at one input size; MACs are of one image (1 MAC = 1 multiply-add).

    ``macs`` comes from ``torch.utils.flop_counter`` on meta tensors, halved; ``macs_fvcore`` from
    fvcore on real tensors, or is None with the reason. ``uncounted`` are operators that do
    arithmetic and for which the first counter has no formula, with their calls.
    """

    kind: Literal["complexity"] = "complexity"
    params: int
    unused: tuple[UnusedModule, ...]
    macs: int
    macs_by_operator: dict[str, int]
    uncounted: dict[str, int]
    macs_fvcore: int | None
    fvcore_note: str | None
    fvcore_uncounted: dict[str, int]


class Stages(Model):
    """Seconds that the lanes spent in each stage of an end-to-end pass, added over lanes."""

    read_decode_s: float
    resize_s: float
    copy_s: float
    model_s: float
    # Reading pixels from the cache, or writing them to it.
    cache_s: float = 0.0


class EndToEnd(Model):
    """One timed pass to predictions: raw images, seconds and their split.

    Only a pass from ``files`` that did no other row's work is an end-to-end figure;
    ``also_made`` counts the other geometries for which it made pixels.
    """

    images: int
    seconds: float
    lanes: int
    stages: Stages
    pixels: Literal["files", "cache"] = "files"
    also_made: int = 0


class BadImage(Model):
    """An image that could not be decoded, and why."""

    image: str
    reason: str


class Accuracy(Model):
    """Counts of right predictions; the predictions themselves lie beside, in Parquet."""

    kind: Literal["accuracy"] = "accuracy"
    dataset: str
    dataset_kind: str
    images_in_dataset: int
    images: int
    correct_top1: int
    correct_top5: int | None
    bad_images: tuple[BadImage, ...]
    content_sha256: str
    end_to_end: EndToEnd | None
    # Images of each forward pass; the batch of the key says nothing about it on a CPU.
    forward_batch: int | None = None


class Sampling(Model):
    """The budget of a timed measurement, and why it ended; fields as of ``timing.Budget``."""

    warmed_up: WarmedUp
    ended: Ended
    min_steps: int
    min_seconds: float
    target_rse: float | None
    max_steps: int
    max_seconds: float


class HostUse(Model):
    """What the operating system counted while the steps were timed, for all threads together."""

    user_s: float
    system_s: float
    minor_faults: int
    involuntary_switches: int


class GpuSample(Model):
    """A GPU's state at a moment, ``at_s`` seconds after the first step began.

    ``slowdowns`` are the driver's reasons to clock lower, by NVML's names. What the driver does
    not tell is None.
    """

    at_s: float
    sm_mhz: int | None
    temperature_c: int | None
    power_w: float | None
    slowdowns: tuple[str, ...] | None
    other_processes: int | None


class GpuState(Model):
    """A GPU before, while and after the steps were timed; ``note`` says why something is absent.

    ``samples`` begins with the state before and ends with the state after. ``energy_j`` is what
    all timed steps together took; ``throttled_steps`` are the places of steps that ran slowed down.
    """

    samples: tuple[GpuSample, ...]
    throttled_steps: tuple[int, ...] | None
    energy_j: float | None
    note: str | None


class Reference(Model):
    """The mean seconds of fixed work, one before the first stretch of steps and after each.

    ``stretches`` are the numbers of steps between two of them.
    """

    version: int
    seconds: tuple[float, ...]
    stretches: tuple[int, ...]


class Timed(Model):
    """Every timed step on inputs that already lie on the device, and how it came about."""

    batch_size: int
    first_call_s: float
    warmup_steps: int
    steps_s: tuple[float, ...]
    wall_s: float
    clock: Literal["cuda_event", "perf_counter"]
    peak_memory_bytes: int | None
    peak_memory_kind: Literal["cuda_allocator", "process_rss"] | None
    sampling: Sampling | None = None
    host: HostUse | None = None
    gpu: GpuState | None = None
    reference: Reference | None = None


class Throughput(Timed):
    """Forward passes."""

    kind: Literal["throughput"] = "throughput"


class Training(Timed):
    """Training steps; the seconds of each of their parts add up to those of the step."""

    kind: Literal["training"] = "training"
    optimizer: str
    forward_s: tuple[float, ...]
    backward_s: tuple[float, ...]
    optimizer_s: tuple[float, ...]


Evidence = Annotated[Complexity | Accuracy | Throughput | Training, Field(discriminator="kind")]


def now() -> str:
    """Return the time as records tell it: UTC, ISO 8601, in whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Record(Model):
    """One measurement of one row, or the reason why there is none."""

    schema_version: int = SCHEMA_VERSION
    measure: Measure
    key: RowKey
    status: Literal["measured", "failed"]
    reason: str | None = None
    evidence: Evidence | None = None
    predictions: str | None = None
    started_at: str
    seconds: float
    conditions: dict[str, Any]

    def speaks_instead_of(self, earlier: "Record | None") -> bool:
        """Return whether it does: the newest, but no failure takes back what was measured."""
        return earlier is None or self.status == "measured" or earlier.status == "failed"


class Side(Model):
    """One side of a comparison: what was asked of it, and the revision's commit."""

    settings: dict[str, str]
    python: str
    revision: str | None = None
    commit: str | None = None


class Round(Model):
    """One round: both sides' turns, one after the other; the seconds of every step."""

    first: Literal["a", "b"]
    a_steps_s: tuple[float, ...]
    b_steps_s: tuple[float, ...]

    @property
    def log_ratio(self) -> float:
        """Return the logarithm of head's (b) median step over base's (a)."""
        return log(median(self.b_steps_s) / median(self.a_steps_s))


class ComparedRow(Model):
    """One entry on both sides, or the reason why it could not be compared."""

    entry: str
    network: str
    status: Literal["measured", "failed"]
    reason: str | None = None
    batch_size: int | None = None
    threads: int | None = None
    rounds: tuple[Round, ...] = ()
    # By fresh processes, where the first found a change.
    again: tuple[Round, ...] = ()
    seconds: float
    # Of each side: versions, device, threads, load; and what its revision's folder gave.
    a: dict[str, Any] | None = None
    b: dict[str, Any] | None = None


class Comparison(Model):
    """Base (a) against head (b) inside one run: the raw rounds of every row."""

    schema_version: int = SCHEMA_VERSION
    kind: Literal["comparison"] = "comparison"
    started_at: str
    threshold: float
    budget_s: float
    # Of the order of turns.
    seed: int
    a: Side
    b: Side
    rows: tuple[ComparedRow, ...] = ()
