"""Run-to-run spread of images/s: our measurement against a fixed loop, in fresh processes.

The fixed loop is what other harnesses do: 10 steps to warm up, then the mean of 40. Ours gets no
more time than that loop took, warm-up included. Both sides take turns in random order, each run in
a process of its own, on a quiet machine and with a spinner on its last core.

    flock /tmp/quiet.lock python tests/perf/spread.py [--runs 12] [--batch 16] [--seed 0]

prints a table in Markdown: the coefficient of variation and the largest over the smallest
images/s of each side. The goal is half the loop's variation at no more than its time.
"""

import argparse
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import mean, median, stdev
from typing import Literal

import torch

from bench.executors.local import ask
from bench.measure.execution import Execution
from bench.measure.timing import Budget, CpuClock, timed
from bench.plan import Settings
from bench.worker import redirect_output
from zoo import build
from zoo.entry import Entry

Side = Literal["fixed loop", "zoobench"]
SIDES: tuple[Side, ...] = ("fixed loop", "zoobench")
WARMUP, STEPS = 10, 40
SIDE_PX = 160
ENTRY = Entry(name="m", source="timm", architecture="mobilenetv3_small_100")
# Runs of the fixed loop alone, from which the time that ours may take is known.
PILOTS = 3


@dataclass(frozen=True)
class Run:
    """What one process found: images/s, and the seconds that it took, warm-up included."""

    images_per_s: float
    seconds: float


def measure(side: Side, batch_size: int, seconds: float, log: str, pipe: Connection) -> None:
    """Measure in this process, and send the run."""
    redirect_output(log)
    execution = Execution(build.random_network(ENTRY), Settings(), "cpu")
    batch = torch.rand(batch_size, 3, SIDE_PX, SIDE_PX)
    execution.forward(batch)  # the first call is apart on both sides
    start = time.perf_counter()
    if side == "fixed loop":
        step_s = fixed_loop_s(execution, batch)
    else:
        step_s = ours_s(execution, batch, seconds)
    pipe.send(Run(batch_size / step_s, time.perf_counter() - start))
    pipe.send(None)


def fixed_loop_s(execution: Execution, batch: torch.Tensor) -> float:
    """Return the mean of 40 steps after 10."""
    for _ in range(WARMUP):
        execution.forward(batch)
    start = time.perf_counter()
    for _ in range(STEPS):
        execution.forward(batch)
    return (time.perf_counter() - start) / STEPS


def ours_s(execution: Execution, batch: torch.Tensor, seconds: float) -> float:
    """Return the median of as many steps as fit into the time, after a warm-up until stable."""
    begun = time.perf_counter()
    warmup = Budget(max_warmup_steps=WARMUP, min_steps=1, min_seconds=0)
    timed(lambda: execution.forward(batch), CpuClock(), warmup)
    left_s = max(0.0, seconds - (time.perf_counter() - begun))
    rest = Budget(warmup_steps=0, min_steps=1, min_seconds=left_s, max_seconds=left_s)
    return median(timed(lambda: execution.forward(batch), CpuClock(), rest).steps_s)


def run(side: Side, batch_size: int, seconds: float) -> Run:
    """Return a run in a fresh process, with the environment that rows are measured in."""
    (found,) = ask(measure, side, batch_size, seconds)
    return found  # type: ignore[no-any-return]


@contextmanager
def spinner() -> Iterator[None]:
    """Keep the last core busy."""
    process = multiprocessing.get_context("fork").Process(target=_spin, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _spin() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    while True:
        pass


def compare(runs: int, batch_size: int) -> dict[Side, list[Run]]:
    """Return the runs of both sides, which took turns in random order."""
    limit_s = min(run("fixed loop", batch_size, 0).seconds for _ in range(PILOTS))
    found: dict[Side, list[Run]] = {side: [] for side in SIDES}
    for _ in range(runs):
        for side in random.sample(SIDES, len(SIDES)):
            found[side].append(run(side, batch_size, limit_s))
            limit_s = min(
                limit_s, mean(r.seconds for r in found["fixed loop"] or [Run(0, limit_s)])
            )
    return found


def row(load: str, side: Side, runs: list[Run]) -> str:
    """Return a line of the table."""
    speeds = [found.images_per_s for found in runs]
    return (
        f"| {load} | {side} | {median(speeds):.0f} | {100 * variation(runs):.1f} % | "
        f"{max(speeds) / min(speeds):.2f} | {mean(found.seconds for found in runs):.2f} |"
    )


def variation(runs: list[Run]) -> float:
    """Return the standard deviation of images/s in shares of their mean."""
    speeds = [found.images_per_s for found in runs]
    return stdev(speeds) / mean(speeds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    random.seed(asked.seed)
    print("| load | side | images/s | variation | max/min | seconds a run |")
    print("|---|---|---:|---:|---:|---:|")
    for load in ("quiet", "spinner"):
        if load == "spinner":
            with spinner():
                found = compare(asked.runs, asked.batch)
        else:
            found = compare(asked.runs, asked.batch)
        for side in SIDES:
            print(row(load, side, found[side]))
        ratio = variation(found["zoobench"]) / variation(found["fixed loop"])
        print(f"| {load} | ratio | | {ratio:.2f} | | |", flush=True)
    print(f"load average at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
