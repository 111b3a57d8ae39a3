"""The one timed measurement: raw seconds of every step, by a clock that fits the device.

Warm up until steps are stable, then repeat them until there are enough; docs/figures.md has the
rules. Nothing waits for the device between two steps of a stretch. A sample is one stretch, unless
it is looked at before it ends, or other work runs in between.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from bench.records import Ended, WarmedUp
from bench.stats import median_rse

Step = Callable[[], object]
# (steps, seconds) of a stretch so far -> whether it has another step
GoOn = Callable[[int, float], bool]

# Steps are stable once the median of so many is within this of the median of those before.
_WINDOW = 4
_STABLE_WITHIN = 0.03
# How much a sample grows before its error is looked at again: few looks, and little beyond enough.
_GROWTH = 1.25
# How long a stretch is where other work runs between stretches, unless a step takes longer, and the
# time of that work in shares of the stretch: a long step needs a longer look at the machine.
_STRETCH_S = 0.05
_BETWEEN_SHARE = 0.1


@dataclass(frozen=True)
class Budget:
    """When a measurement has enough: both floors, and the target; never more than a cap.

    Both floors are needed: seconds alone give a huge network two samples, and steps alone give a
    tiny one a millisecond of noise. ``max_seconds`` ends a measurement even below ``min_steps``,
    after the step under way. A warm-up lasts ``min_warmup_seconds`` at least: a GPU that was idle
    needs that long to raise its clocks.

    ``warmup_steps`` None warms up until steps are stable or the warm-up's caps are reached; a
    number is a fixed warm-up. ``target_rse`` is the relative standard error, as a fraction, that
    the median must get to; None asks for the floors alone.
    """

    warmup_steps: int | None = None
    min_warmup_seconds: float = 0.0
    max_warmup_steps: int = 100
    max_warmup_seconds: float = 3.0
    min_steps: int = 10
    min_seconds: float = 2.0
    target_rse: float | None = None
    max_steps: int = 5000
    max_seconds: float = 60.0


@dataclass(frozen=True)
class Timing:
    """Seconds of each timed step, and wall-clock seconds of all of them together.

    ``parts_s`` has a row for each part of the step, as long as ``steps_s``, which are their sums.
    ``offsets_s`` says when each step began, in wall-clock seconds since ``began_s`` of the clock.
    ``stretches`` are the numbers of steps in a row. Where work ran between them, ``between_s`` are
    its mean seconds, one before the first stretch and one after each, apart from ``wall_s``.
    """

    steps_s: tuple[float, ...]
    wall_s: float
    parts_s: tuple[tuple[float, ...], ...]
    began_s: float
    offsets_s: tuple[float, ...]
    stretches: tuple[int, ...]
    between_s: tuple[float, ...]
    warmup_steps: int
    warmed_up: WarmedUp
    ended: Ended


class Clock(Protocol):
    """Marks the borders of steps, and gives their lengths once all are done."""

    def now(self) -> float:
        """Return wall-clock seconds."""

    def mark(self) -> None:
        """Mark a border between steps, without waiting for the device."""

    def steps_s(self) -> tuple[float, ...]:
        """Wait for the device, and return the seconds between neighbouring marks."""


class CpuClock:
    """``perf_counter_ns`` around each step."""

    def __init__(self) -> None:
        self._marks_ns: list[int] = []

    def now(self) -> float:
        """Return wall-clock seconds."""
        return time.perf_counter()

    def mark(self) -> None:
        """Mark a border between steps."""
        self._marks_ns.append(time.perf_counter_ns())

    def steps_s(self) -> tuple[float, ...]:
        """Return the seconds between neighbouring marks."""
        return tuple((b - a) / 1e9 for a, b in pairwise(self._marks_ns))


class CudaClock:
    """CUDA events between steps, one synchronisation at the end."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._events: list[torch.cuda.Event] = []

    def now(self) -> float:
        """Return wall-clock seconds."""
        return time.perf_counter()

    def mark(self) -> None:
        """Record an event on the device's current stream."""
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        self._events.append(event)

    def steps_s(self) -> tuple[float, ...]:
        """Wait for the device, and return the seconds between neighbouring events."""
        torch.cuda.synchronize(self._device)
        return tuple(a.elapsed_time(b) / 1e3 for a, b in pairwise(self._events))


def clock_for(device: torch.device) -> Clock:
    """Return a new clock that fits the device."""
    return CudaClock(device) if device.type == "cuda" else CpuClock()


def timed(step: Step, clock: Clock, budget: Budget) -> Timing:
    """Warm up, then repeat the step until the budget says that it is enough."""
    return timed_parts((step,), clock, budget)


def timed_parts(
    parts: Sequence[Step],
    clock: Clock,
    budget: Budget,
    *watches: AbstractContextManager[object],
    between: Step | None = None,
) -> Timing:
    """Time a step that has parts, and each of them.

    Args:
        parts: called one after another, in every step.
        clock: a new one.
        budget: when it is enough.
        watches: entered after the warm-up, and left after the last step.
        between: work that is timed too, before the steps, after them and every so often between,
            by the wall clock; its seconds count towards no budget.
    """
    warmup_steps, warmed_up = _warm_up(parts, clock, budget)
    sample = _Sample()
    goal = budget.min_steps
    ended: Ended | None = None
    with ExitStack() as stack:
        for watch in watches:
            stack.enter_context(watch)
        between_s = _seconds_of(between, clock, _STRETCH_S)
        while ended is None:
            go_on = _until(goal, sample, budget)
            while go_on(0, 0.0):
                sample.add(_stretch(parts, clock, _in_short(go_on) if between else go_on))
                between_s += _seconds_of(between, clock, sample.last_wall_s)
            ended = _end(sample, budget)
            goal = max(sample.steps + 1, math.ceil(sample.steps * _GROWTH))
    return Timing(
        steps_s=tuple(sample.steps_s().tolist()),
        wall_s=sample.wall_s,
        parts_s=tuple(tuple(part) for part in sample.parts_s().T.tolist()),
        began_s=sample.began_s,
        offsets_s=tuple(sample.offsets_s().tolist()),
        stretches=sample.stretches(),
        between_s=tuple(between_s),
        warmup_steps=warmup_steps,
        warmed_up=warmed_up,
        ended=ended,
    )


@dataclass(frozen=True)
class _Stretch:
    """Steps in a row: ``seconds`` is (steps, parts), ``wall_s`` includes the wait at the end."""

    began_s: float
    wall_s: float
    seconds: NDArray[np.float64]


class _Sample:
    """The stretches of one measurement."""

    def __init__(self) -> None:
        self._stretches: list[_Stretch] = []
        self.steps = 0
        self.wall_s = 0.0

    def add(self, stretch: _Stretch) -> None:
        """Add a stretch."""
        self._stretches.append(stretch)
        self.steps += len(stretch.seconds)
        self.wall_s += stretch.wall_s

    def parts_s(self) -> NDArray[np.float64]:
        """Return the seconds of all parts, (steps, parts)."""
        return np.concatenate([stretch.seconds for stretch in self._stretches])

    def steps_s(self) -> NDArray[np.float64]:
        """Return the seconds of all steps."""
        return self.parts_s().sum(axis=1)

    @property
    def last_wall_s(self) -> float:
        """Return the wall-clock seconds of the last stretch."""
        return self._stretches[-1].wall_s

    def stretches(self) -> tuple[int, ...]:
        """Return the number of steps of each stretch."""
        return tuple(len(stretch.seconds) for stretch in self._stretches)

    @property
    def began_s(self) -> float:
        """Return when the first step began."""
        return self._stretches[0].began_s

    def offsets_s(self) -> NDArray[np.float64]:
        """Return when each step began, in wall-clock seconds since the first one."""
        began = [
            stretch.began_s - self.began_s + np.cumsum(steps_s) - steps_s
            for stretch in self._stretches
            for steps_s in [stretch.seconds.sum(axis=1)]
        ]
        return np.concatenate(began)


def _stretch(parts: Sequence[Step], clock: Clock, go_on: GoOn) -> _Stretch:
    """Run steps while ``go_on``, then wait for the device and read the clock."""
    began_s = clock.now()
    clock.mark()
    steps = 0
    while go_on(steps, clock.now() - began_s):
        for part in parts:
            part()
            clock.mark()
        steps += 1
    intervals = clock.steps_s()
    wall_s = clock.now() - began_s
    own = intervals[len(intervals) - steps * len(parts) :]
    return _Stretch(began_s, wall_s, np.array(own, np.float64).reshape(steps, len(parts)))


def _until(goal: int, sample: _Sample, budget: Budget) -> GoOn:
    """Return whether a stretch goes on: until the sample has ``goal`` steps and its seconds."""

    def go_on(steps: int, seconds: float) -> bool:
        steps += sample.steps
        seconds += sample.wall_s
        if steps >= budget.max_steps or (steps > 0 and seconds >= budget.max_seconds):
            return False
        return steps < goal or seconds < budget.min_seconds

    return go_on


def _in_short(go_on: GoOn) -> GoOn:
    """Return whether a stretch goes on that must also be short; it has one step at least."""
    return lambda steps, seconds: go_on(steps, seconds) and (steps == 0 or seconds < _STRETCH_S)


def _seconds_of(work: Step | None, clock: Clock, stretch_s: float) -> list[float]:
    """Repeat the work for its share of a stretch; return its mean, or nothing without any."""
    if work is None:
        return []
    start_s, seconds, count = clock.now(), 0.0, 0
    while count == 0 or seconds < _BETWEEN_SHARE * stretch_s:
        work()
        count += 1
        seconds = clock.now() - start_s
    return [seconds / count]


def _end(sample: _Sample, budget: Budget) -> Ended | None:
    """Return why a sample is complete, or None if it is not."""
    if sample.steps >= budget.min_steps and sample.wall_s >= budget.min_seconds:
        if budget.target_rse is None:
            return "floors"
        if median_rse(sample.steps_s()) <= budget.target_rse:
            return "target"
    if sample.steps >= budget.max_steps:
        return "max_steps"
    return "max_seconds" if sample.wall_s >= budget.max_seconds else None


def _warm_up(parts: Sequence[Step], clock: Clock, budget: Budget) -> tuple[int, WarmedUp]:
    """Run steps that do not count until two windows agree; return how many, and why no more."""
    if budget.warmup_steps is not None:
        fixed = budget.warmup_steps
        _stretch(parts, clock, lambda steps, _: steps < fixed)
        return fixed, "fixed"
    sample = _Sample()
    before_s = math.inf
    caps = Budget(
        min_seconds=0, max_steps=budget.max_warmup_steps, max_seconds=budget.max_warmup_seconds
    )
    while True:
        window = _stretch(parts, clock, _until(sample.steps + _WINDOW, sample, caps))
        sample.add(window)
        now_s = float(np.median(window.seconds.sum(axis=1)))
        stable = abs(now_s / before_s - 1) <= _STABLE_WITHIN
        if stable and sample.wall_s >= budget.min_warmup_seconds:
            return sample.steps, "stable"
        if sample.steps >= caps.max_steps or sample.wall_s >= caps.max_seconds:
            return sample.steps, "cap"
        before_s = now_s
