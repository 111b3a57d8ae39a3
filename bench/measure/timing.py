"""Timed repetition of a step: raw seconds of every step, by a clock that fits the device."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

Step = Callable[[], object]


@dataclass(frozen=True)
class Budget:
    """When to stop: at least ``min_steps`` and ``min_seconds``; at most ``max_steps``.

    Both floors are needed: seconds alone give a huge network two samples, and steps alone give a
    tiny one a millisecond of noise.
    """

    warmup_steps: int = 3
    min_steps: int = 10
    min_seconds: float = 2.0
    max_steps: int = 2000


@dataclass(frozen=True)
class Timing:
    """Seconds of each timed step, and wall-clock seconds of all of them together."""

    steps_s: tuple[float, ...]
    wall_s: float


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
        pairs = zip(self._marks_ns, self._marks_ns[1:], strict=False)
        return tuple((b - a) / 1e9 for a, b in pairs)


class CudaClock:
    """CUDA events between steps, one synchronisation at the end. Untested on a GPU."""

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
        pairs = zip(self._events, self._events[1:], strict=False)
        return tuple(a.elapsed_time(b) / 1e3 for a, b in pairs)


def timed(step: Step, clock: Clock, budget: Budget) -> Timing:
    """Warm up, then repeat the step until both floors of the budget are reached."""
    for _ in range(budget.warmup_steps):
        step()
    start = clock.now()
    clock.mark()
    for done in range(1, budget.max_steps + 1):
        step()
        clock.mark()
        if done >= budget.min_steps and clock.now() - start >= budget.min_seconds:
            break
    steps_s = clock.steps_s()
    return Timing(steps_s=steps_s, wall_s=clock.now() - start)
