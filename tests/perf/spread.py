"""Run-to-run spread of speed: our measurement against a fixed loop, in fresh processes.

    python -m tests.perf.spread [--spinner] [--runs 12] [--batch 16]

Sides that take turns, in random order, each run in a process of its own:

- ``fixed loop``: what other harnesses do: 10 steps to warm up, then the mean of 40, in the
  environment that a user's shell has.
- ``zoobench``: warm-up until stable, then as many steps as fit into the time that the fixed loop
  took, warm-up and reference work included, in the workers' environment. Such a run gives two
  figures: images/s of the median step, and images per reference.

It prints a table in Markdown, on the machine as it is or with a spinner on its last core. The
variation is the standard deviation of a figure over its mean. The goal is half the fixed loop's
variation at no more than its time.
"""

import argparse
import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from statistics import mean, median, stdev
from typing import Any

from bench.conditions import ALLOCATOR_ENVIRONMENT, BRIEF_SPIN

LOOP, OURS = "fixed loop", "zoobench"
# What each side is started with.
SIDES: dict[str, dict[str, str]] = {LOOP: {}, OURS: {**ALLOCATOR_ENVIRONMENT, **BRIEF_SPIN}}
WARMUP, STEPS = 10, 40
SIDE_PX = 160
ARCHITECTURE = "mobilenetv3_small_100"
# Runs of the fixed loop alone, from which the time that ours may take is known.
PILOTS = 3
# At most so much of our time is the reference work's.
REFERENCE_SHARE = 0.25


@dataclass(frozen=True)
class Run:
    """What one process found, and the seconds that it took, warm-up included."""

    images_per_s: float
    images_per_reference: float | None
    seconds: float


class Server:
    """A process that has torch imported in an environment, and forks a new one for each run."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.perf.spread", "--serve"],
            env={**_plain_environment(), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, side: str, batch_size: int, seconds: float) -> Run:
        """Return a run in a fresh process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([side, batch_size, seconds]), file=self._process.stdin, flush=True)
        return Run(*json.loads(self._process.stdout.readline()))

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def _plain_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in SIDES[OURS]}


def serve() -> None:
    """Fork a process for each run that is asked for on standard input."""
    from bench import preload  # noqa: F401  torch and timm, before any thread

    context = multiprocessing.get_context("fork")
    for line in sys.stdin:
        ours, theirs = context.Pipe()
        process = context.Process(target=measure, args=(*json.loads(line), theirs))
        process.start()
        print(json.dumps(ours.recv()), flush=True)
        process.join()


def measure(side: str, batch_size: int, seconds: float, pipe: Any) -> None:
    """Measure in this process, and send images/s and seconds."""
    import torch

    from bench.measure.execution import Execution
    from bench.plan import Settings
    from zoo import build
    from zoo.entry import Entry

    entry = Entry(name="m", source="timm", architecture=ARCHITECTURE)
    execution = Execution(build.random_network(entry), Settings(), "cpu")
    batch = torch.rand(batch_size, 3, SIDE_PX, SIDE_PX)
    batch = batch.contiguous(memory_format=execution.memory_format)
    execution.forward(batch)  # the first call is apart on all sides
    start = time.perf_counter()
    if side == LOOP:
        figures = [batch_size / loop_s(execution, batch), None]
    else:
        figures = ours(execution, batch, seconds)
    pipe.send([*figures, time.perf_counter() - start])


def loop_s(execution: Any, batch: Any) -> float:
    """Return the mean of 40 steps after 10."""
    for _ in range(WARMUP):
        execution.forward(batch)
    start = time.perf_counter()
    for _ in range(STEPS):
        execution.forward(batch)
    return (time.perf_counter() - start) / STEPS


def ours(execution: Any, batch: Any, seconds: float) -> list[float]:
    """Return images/s and images per reference, of a measurement that takes so many seconds."""
    from bench.measure.reference import reference_work
    from bench.measure.timing import Budget, CpuClock, timed, timed_parts
    from bench.stats import median_in_units

    def step() -> None:
        execution.forward(batch)

    begun = time.perf_counter()
    work = reference_work()
    warmup = Budget(max_warmup_steps=WARMUP, min_steps=1, min_seconds=0)
    last_s = timed(step, CpuClock(), warmup).steps_s[-1]
    # The last step begins before the time is up, and the reference work takes its share.
    left_s = max(0.0, seconds - last_s - (time.perf_counter() - begun)) * (1 - REFERENCE_SHARE)
    rest = Budget(warmup_steps=0, min_steps=1, min_seconds=left_s, max_seconds=left_s)
    timing = timed_parts((step,), CpuClock(), rest, between=work)
    in_references = median_in_units(timing.steps_s, timing.stretches, timing.between_s)
    return [len(batch) / median(timing.steps_s), len(batch) / in_references]


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


def compare(servers: dict[str, Server], runs: int, batch_size: int) -> dict[str, list[Run]]:
    """Return the runs of all sides, which took turns in random order."""
    took = [servers[LOOP].run(LOOP, batch_size, 0).seconds for _ in range(PILOTS)]
    found: dict[str, list[Run]] = {side: [] for side in SIDES}
    for _ in range(runs):
        for side in random.sample(list(SIDES), len(SIDES)):
            took_all = took + [run.seconds for run in found[LOOP]]
            found[side].append(
                servers[side].run(side, batch_size, min(median(took_all), mean(took_all)))
            )
    return found


def variation(speeds: Sequence[float]) -> float:
    """Return the standard deviation in shares of the mean."""
    return stdev(speeds) / mean(speeds)


def report(load: str, found: dict[str, list[Run]]) -> None:
    """Print the lines of a load: a figure each."""
    seconds = {side: mean(run.seconds for run in runs) for side, runs in found.items()}
    speeds = {side: [run.images_per_s for run in runs] for side, runs in found.items()}
    relative = [run.images_per_reference for run in found[OURS] if run.images_per_reference]
    figures = {
        "fixed loop, images/s": (speeds[LOOP], seconds[LOOP]),
        "zoobench, images/s": (speeds[OURS], seconds[OURS]),
        "zoobench, images per reference": (relative, seconds[OURS]),
    }
    for name, (values, took_s) in figures.items():
        print(
            f"| {load} | {name} | {median(values):.4g} | {100 * variation(values):.1f} % | "
            f"{max(values) / min(values):.2f} | "
            f"{variation(values) / variation(speeds[LOOP]):.2f} | {took_s:.2f} |",
            flush=True,
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--spinner", action="store_true", help="keep the last core busy")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve()
        return
    servers = {side: Server(environment) for side, environment in SIDES.items()}
    with spinner() if asked.spinner else nullcontext():
        found = compare(servers, asked.runs, asked.batch)
    load = f"{'a spinner' if asked.spinner else 'none of ours'}, {os.getloadavg()[0]:.1f}"
    print("| load | figure | median | variation | max/min | of the loop's | seconds a run |")
    print("|---|---|---:|---:|---:|---:|---:|")
    report(load, found)
    for server in servers.values():
        server.end()


if __name__ == "__main__":
    main()
