"""Timing the steps of a row: the first call apart, then the one timed measurement, watched."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from bench.measure import Row
from bench.measure.execution import Execution, explained
from bench.measure.gpu import watch
from bench.measure.host import HostWatch
from bench.measure.memory import PeakMemory
from bench.measure.reference import VERSION, reference_work
from bench.measure.timing import Budget, Clock, CudaClock, Step, Timing, timed_parts
from bench.records import Reference, Sampling, Timed
from zoo import build


@dataclass(frozen=True)
class TimedParts:
    """The evidence of a timed step, and the seconds of its parts, in the order they were given."""

    timed: Timed
    parts_s: tuple[tuple[float, ...], ...]


def random_network(row: Row) -> nn.Module:
    """Return the row's network with random weights on its device.

    A large network is initialised there in no time, and on a CPU in seconds.
    """
    with torch.device(row.device):
        return build.random_network(row.entry)


@contextmanager
def explaining(batch_size: int, execution: Execution) -> Iterator[None]:
    """Raise MeasureError for what goes wrong inside: out of memory at this batch, or a failure."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise explained(error, batch_size, execution.device) from error


def budget_for(row: Row, execution: Execution, min_steps: int = 10) -> Budget:
    """Return the budget of a row's timed measurement."""
    if execution.device.type == "cuda":
        return Budget(
            min_warmup_seconds=0.3,
            max_warmup_steps=5000,
            min_steps=min_steps,
            target_rse=row.job.target_rse,
        )
    return Budget(min_steps=min_steps, target_rse=row.job.target_rse)


def time_parts(
    row: Row,
    execution: Execution,
    parts: Sequence[Step],
    memory: PeakMemory,
    *,
    batch_size: int,
    clock: Clock,
    budget: Budget,
    with_reference: bool = False,
) -> TimedParts:
    """Time a step that has parts, as long as the budget says.

    Args:
        row: for its progress.
        execution: where the parts run.
        parts: called one after another, in every step.
        memory: started before the batch was placed.
        batch_size: images per step.
        clock: a new one.
        budget: when it is enough.
        with_reference: whether fixed work runs between the steps.

    Raises:
        MeasureError: out of memory at this batch (the row says so; no smaller batch is tried), or
            a part fails.
    """
    on_gpu = execution.device.type == "cuda"
    host, gpu = HostWatch(), watch(execution.device) if on_gpu else None
    by_events = isinstance(clock, CudaClock)
    first_call_peak_bytes = None
    with explaining(batch_size, execution):
        first_call_s = _first_call_s(execution, parts)
        if on_gpu:
            # The workspaces that autotuning tried are as large as memory was free.
            first_call_peak_bytes, _ = memory.peak()
            memory = PeakMemory(execution.device)
        timing = timed_parts(
            parts,
            clock,
            budget,
            *(w.watching() for w in (host, gpu) if w),
            between=reference_work() if with_reference else None,
        )
    peak_bytes, kind = memory.peak()
    row.progress(len(timing.steps_s), len(timing.steps_s), "steps")
    timed = Timed(
        batch_size=batch_size,
        first_call_s=first_call_s,
        compilation=execution.compilation(),
        warmup_steps=timing.warmup_steps,
        steps_s=timing.steps_s,
        wall_s=timing.wall_s,
        clock="cuda_event" if by_events else "perf_counter",
        peak_memory_bytes=peak_bytes,
        peak_memory_kind=kind,
        first_call_peak_memory_bytes=first_call_peak_bytes,
        sampling=_sampling(timing, budget),
        host=host.use,
        gpu=gpu.state(timing) if gpu else None,
        reference=_reference(timing),
    )
    return TimedParts(timed, timing.parts_s)


def _sampling(timing: Timing, budget: Budget) -> Sampling:
    return Sampling(
        warmed_up=timing.warmed_up,
        ended=timing.ended,
        min_steps=budget.min_steps,
        min_seconds=budget.min_seconds,
        target_rse=budget.target_rse,
        max_steps=budget.max_steps,
        max_seconds=budget.max_seconds,
    )


def _reference(timing: Timing) -> Reference | None:
    if not timing.between_s:
        return None
    return Reference(version=VERSION, seconds=timing.between_s, stretches=timing.stretches)


def _first_call_s(execution: Execution, parts: Sequence[Step]) -> float:
    """Run the step once; return its seconds, with compilation, autotuning and allocation."""
    start = time.perf_counter()
    for part in parts:
        part()
    execution.synchronize()
    return time.perf_counter() - start
