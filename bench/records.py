"""What a measurement leaves behind: counts and seconds of steps, of which reports make figures."""

from datetime import UTC, datetime
from math import log
from statistics import median
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from bench.strict_json import problem
from zoo.entry import Model

# 2: the reference work beside timed steps. 3: the sha256 of the predictions.
SCHEMA_VERSION = 3

Figure = Literal["params", "gmacs", "crosscheck", "top1", "speed", "memory", "latency", "train"]
Measure = Literal["complexity", "accuracy", "throughput", "latency", "training"]
Precision = Literal["fp32", "tf32", "bf16", "fp16", "amp"]
MemoryFormat = Literal["contiguous", "channels_last"]
# The part behind the colon is torch.compile's mode; without one it is its default.
CompileMode = Literal["eager", "inductor", "inductor:reduce-overhead", "inductor:max-autotune"]
# How a batch size came about, and why a warm-up and a measurement ended.
BatchPolicy = Literal["asked", "default", "auto"]
WarmedUp = Literal["fixed", "stable", "cap"]
Ended = Literal["floors", "target", "max_steps", "max_seconds"]

# The decoder of the published figures: the others have other pixels.
REFERENCE_DECODER = "pillow"
# Why a count has no second one, where that can still be had by asking for it.
NOT_CHECKED = "not asked for"
FIGURES: tuple[str, ...] = get_args(Figure)
# Numbers that a record can have; anything else is a damaged file.
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Duration = Annotated[float, Field(ge=0)]
# No clock has shorter steps, and nobody waits longer.
Seconds = Annotated[float, Field(ge=1e-9, le=1e9)]
# Which measurement yields a figure that a user asks for.
MEASURE_OF: dict[Figure, Measure] = {
    "params": "complexity",
    "gmacs": "complexity",
    "crosscheck": "complexity",
    "top1": "accuracy",
    "speed": "throughput",
    "memory": "throughput",
    "latency": "latency",
    "train": "training",
}


class Shard(Model):
    """One of ``count`` parts of a dataset, by ``index`` from 1; cut as evenly as images allow."""

    index: Positive
    count: Positive

    @model_validator(mode="after")
    def _is_within(self) -> Self:
        if self.index > self.count:
            raise ValueError(f"shard {self.index} of {self.count}")
        return self

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
    batch_size: Positive | None = None
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
    "latency": (*_NETWORK, *SETTINGS),
    "training": (*_NETWORK, *SETTINGS),
    "accuracy": (
        *(*_NETWORK, *SETTINGS),
        *("weights_sha256", "weights_options", "preprocess", "dataset_digest", "decoder", "shard"),
    ),
}


class UnusedModule(Model):
    """A part of the network that holds parameters and that inference never runs."""

    name: str
    params: Natural


class Complexity(Model):
    """Counts of one network at one input size; MACs are of one image (1 MAC = 1 multiply-add).

    ``macs`` comes from ``torch.utils.flop_counter`` on meta tensors, halved; ``macs_fvcore`` from
    fvcore on real tensors, or is None with the reason. ``uncounted`` are operators that do
    arithmetic and for which the first counter has no formula, with their calls.
    """

    kind: Literal["complexity"] = "complexity"
    params: Natural
    unused: tuple[UnusedModule, ...]
    macs: Natural
    macs_by_operator: dict[str, Natural]
    uncounted: dict[str, Natural]
    macs_fvcore: Natural | None
    fvcore_note: str | None
    fvcore_uncounted: dict[str, Natural]


class OwnerSeconds(Model):
    """Wall-clock seconds of the thread that owns a device, in one end-to-end pass."""

    # Nothing decoded was ready: the decoders are the slower side.
    wait_pixels_s: Duration
    # Launching copies and kernels, and scoring outputs.
    host_s: Duration
    # Nothing was left to launch: the device is the slower side.
    wait_device_s: Duration


class Stages(Model):
    """Where the seconds of an end-to-end pass went.

    On a CPU every stage runs in the lanes, and the stages add up to ``lanes * seconds``.
    ``owned_s`` is None there.

    On a GPU (or with a compiled network) one thread owns the device and processes decode for it.
    ``read_decode_s``, ``resize_s`` and ``cache_s`` are added over these processes, ``copy_s`` and
    ``model_s`` are the device's own, by events, and overlap with all others. ``owned_s`` splits the
    wall-clock seconds of the owner, and adds up to the pass.
    """

    read_decode_s: Duration
    resize_s: Duration
    copy_s: Duration
    model_s: Duration
    # Reading pixels from the cache, or writing them to it.
    cache_s: Duration = 0.0
    owned_s: OwnerSeconds | None = None

    @model_validator(mode="after")
    def _took_time(self) -> Self:
        if not any(self.model_dump().values()):
            raise ValueError("no stage took any time")
        return self


class EndToEnd(Model):
    """One timed pass to predictions: raw images, seconds and their split.

    Only a pass from ``files`` that did no other row's work is an end-to-end figure;
    ``also_made`` counts the other geometries for which it made pixels.
    """

    images: Positive
    seconds: Seconds
    lanes: int
    stages: Stages
    pixels: Literal["files", "cache"] = "files"
    also_made: Natural = 0


class BadImage(Model):
    """An image that could not be decoded, or is odd, and why."""

    image: str
    reason: str


class Accuracy(Model):
    """Counts of right predictions; the predictions themselves lie beside, in Parquet."""

    kind: Literal["accuracy"] = "accuracy"
    dataset: str
    dataset_kind: str
    images_in_dataset: Positive
    images: Positive
    correct_top1: Natural
    correct_top5: Natural | None
    bad_images: tuple[BadImage, ...]
    # Images that count, and whose pixels are not what they seem, as of 16 bits.
    odd_images: tuple[BadImage, ...] = ()
    # Files next to the images that are not evaluated: how many, and the first of them.
    left_out: str | None = None
    content_sha256: str
    end_to_end: EndToEnd | None
    # Images of each forward pass; the batch of the key says nothing about it on a CPU.
    forward_batch: Positive | None = None

    @model_validator(mode="after")
    def _counts_fit(self) -> Self:
        top5 = self.images if self.correct_top5 is None else self.correct_top5
        read = self.images + len(self.bad_images)
        if not self.correct_top1 <= top5 <= self.images or read > self.images_in_dataset:
            raise ValueError(
                f"impossible counts: {self.correct_top1} right, {self.correct_top5} among five, of "
                f"{self.images} images read and {len(self.bad_images)} unread, in a dataset of "
                f"{self.images_in_dataset}"
            )
        return self


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

    ``slowdowns`` are the driver's reasons to clock lower, by NVML's names: the power cap among
    them. ``other_processes`` counts processes with a CUDA context on the device, without this one.
    What the driver does not report is None.
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
    all timed steps together took. ``throttled_steps`` are the indices of steps that ran while heat
    or the hardware slowed the GPU down; ``power_capped_steps`` those that ran at the power limit,
    which is the steady state of heavy work.
    """

    samples: tuple[GpuSample, ...]
    throttled_steps: tuple[int, ...] | None
    power_capped_steps: tuple[int, ...] | None = None
    energy_j: float | None
    note: str | None


class Reference(Model):
    """The mean seconds of fixed work, one before the first stretch of steps and after each.

    ``stretches`` are the numbers of steps between two of them.
    """

    version: int
    seconds: tuple[Seconds, ...]
    stretches: tuple[Positive, ...]

    @model_validator(mode="after")
    def _surrounds_the_steps(self) -> Self:
        if len(self.seconds) != len(self.stretches) + 1:
            raise ValueError(f"{len(self.seconds)} units around {len(self.stretches)} stretches")
        return self


class Compilation(Model):
    """What torch.compile did on the first call.

    ``graph_breaks`` maps each reason to the number of breaks; ``graphs`` is the number of compiled
    graphs, 1 where nothing broke.
    """

    seconds: Duration
    graphs: Natural
    graph_breaks: dict[str, Natural]


class Timed(Model):
    """Every timed step on inputs that are already on the device, and how it came about.

    ``peak_memory_bytes`` is that of the steady state; on a GPU the first call's, with the
    workspaces that autotuning tried, is ``first_call_peak_memory_bytes``.
    """

    batch_size: Positive
    first_call_s: Duration
    compilation: Compilation | None = None
    warmup_steps: Natural
    steps_s: tuple[Seconds, ...] = Field(min_length=1)
    wall_s: Seconds
    clock: Literal["cuda_event", "perf_counter"]
    peak_memory_bytes: Natural | None
    peak_memory_kind: Literal["cuda_allocator", "process_rss"] | None
    first_call_peak_memory_bytes: Natural | None = None
    sampling: Sampling | None = None
    host: HostUse | None = None
    gpu: GpuState | None = None
    reference: Reference | None = None

    @model_validator(mode="after")
    def _reference_fits(self) -> Self:
        if self.reference and sum(self.reference.stretches) != len(self.steps_s):
            raise ValueError(
                f"the reference work is of {sum(self.reference.stretches)} steps, and "
                f"{len(self.steps_s)} were timed"
            )
        return self


class Throughput(Timed):
    """Forward passes.

    ``launch_s`` are the host's seconds to launch a step on an idle GPU, of a few steps.
    """

    kind: Literal["throughput"] = "throughput"
    launch_s: tuple[Duration, ...] | None = None


class Latency(Timed):
    """Requests: each is a forward pass and a wait for its end, by the wall clock."""

    kind: Literal["latency"] = "latency"


class Training(Timed):
    """Training steps; the seconds of each of their parts add up to those of the step."""

    kind: Literal["training"] = "training"
    optimizer: str
    forward_s: tuple[Duration, ...]
    backward_s: tuple[Duration, ...]
    optimizer_s: tuple[Duration, ...]


Evidence = Annotated[
    Complexity | Accuracy | Throughput | Latency | Training, Field(discriminator="kind")
]


class _Batch(BaseModel):
    policy: BatchPolicy
    note: str | None
    measures: tuple[Measure, ...]


class _Gpu(BaseModel):
    other_processes: Natural | None = None


class _Conditions(BaseModel):
    """The conditions that reports read, whose types therefore have to be right."""

    zoobench: str | None = None
    git_commit: str | None = None
    torch: str | None = None
    timm: str | None = None
    pillow: str | None = None
    notes: tuple[str, ...] = ()
    batch: _Batch | None = None
    gpu: _Gpu | None = None
    matmul_peak_tflops: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


def _with_known_types(conditions: dict[str, Any]) -> dict[str, Any]:
    """Return conditions as they are; raise ValueError if a report could not read them."""
    try:
        _Conditions.model_validate(conditions)
    except ValidationError as error:
        raise ValueError(problem(error)) from None
    return conditions


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
    # Of the file of predictions; None in schemas before 3, whose file cannot be verified.
    predictions_sha256: str | None = None
    started_at: str
    seconds: Duration
    conditions: Annotated[dict[str, Any], AfterValidator(_with_known_types)]

    @model_validator(mode="after")
    def _has_what_it_says(self) -> Self:
        kind = self.evidence.kind if self.evidence else None
        if kind != (self.measure if self.status == "measured" else None):
            raise ValueError(f"status {self.status!r} of {self.measure} with evidence of {kind}")
        return self

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
    a_steps_s: tuple[Seconds, ...] = Field(min_length=1)
    b_steps_s: tuple[Seconds, ...] = Field(min_length=1)

    @property
    def log_ratio(self) -> float:
        """Return the logarithm of head's (b) median step over base's (a)."""
        return log(median(self.b_steps_s) / median(self.a_steps_s))


class Pair(Model):
    """A process of each side, and the rounds that the two took in turns.

    ``first`` was started first; ``open_s`` are the seconds until both were warm, None if unknown.
    """

    first: Literal["a", "b"]
    open_s: float | None
    rounds: tuple[Round, ...] = Field(min_length=1)

    @property
    def log_ratio(self) -> float:
        """Return the median of its rounds' log ratios: a pair counts once."""
        return median(one.log_ratio for one in self.rounds)


class ComparedRow(Model):
    """One entry on both sides, or the reason why it could not be compared."""

    entry: str
    network: str
    status: Literal["measured", "failed"]
    reason: str | None = None
    batch_size: int | None = None
    threads: int | None = None
    pairs: tuple[Pair, ...] = ()
    seconds: float
    # Of each side: versions, device, threads, load; and what its revision's folder gave.
    a: dict[str, Any] | None = None
    b: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_schema_2(cls, fields: Any) -> Any:
        """Read a row of schema 2, whose series are rounds of one pair each, started a before b."""
        if not isinstance(fields, dict) or "rounds" not in fields:
            return fields
        others = {k: v for k, v in fields.items() if k not in ("rounds", "again")}
        series = [fields["rounds"], fields.get("again")]
        pairs = [{"first": "a", "open_s": None, "rounds": rounds} for rounds in series if rounds]
        return {**others, "pairs": pairs}


# 3: pairs of processes instead of one or two long series of rounds.
COMPARISON_SCHEMA_VERSION = 3


class Comparison(Model):
    """Base (a) against head (b) inside one run: the raw rounds of every pair of every row."""

    schema_version: int = Field(default=COMPARISON_SCHEMA_VERSION, ge=1)
    kind: Literal["comparison"] = "comparison"
    started_at: str
    threshold: float = Field(gt=0, allow_inf_nan=False)
    budget_s: float
    # Of the order in which processes are started and take turns.
    seed: int
    a: Side
    b: Side
    rows: tuple[ComparedRow, ...] = ()
