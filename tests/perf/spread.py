"""Run-to-run spread of images/s: our measurement against a fixed loop, in fresh processes.

    flock /tmp/quiet.lock python -m tests.perf.spread [--spinner] [--runs 12] [--batch 16]

Sides that take turns, in random order, each run in a process of its own:

- ``fixed loop``: what other harnesses do: 10 steps to warm up, then the mean of 40, in the
  environment that a user's shell has.
- ``zoobench``: warm-up until stable, then the median of as many steps as fit into the time that
  the fixed loop took, warm-up included, with the workers' allocator.
- ``zoobench, sleeping``: the same with ``OMP_WAIT_POLICY=PASSIVE``.

It prints a table in Markdown, on the machine as it is or with a spinner on its last core. The
variation is the standard deviation of images/s over their mean. The goal is half the fixed loop's
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

from bench.conditions import ALLOCATOR_ENVIRONMENT

LOOP, OURS, SLEEPING = "fixed loop", "zoobench", "zoobench, sleeping"
PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}
# What each side is started with.
SIDES: dict[str, dict[str, str]] = {
    LOOP: {},
    OURS: ALLOCATOR_ENVIRONMENT,
    SLEEPING: {**ALLOCATOR_ENVIRONMENT, **PASSIVE},
}
WARMUP, STEPS = 10, 40
SIDE_PX = 160
ARCHITECTURE = "mobilenetv3_small_100"
# Runs of the fixed loop alone, from which the time that ours may take is known.
PILOTS = 3


@dataclass(frozen=True)
class Run:
    """What one process found: images/s, and the seconds that it took, warm-up included."""

    images_per_s: float
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
    return {k: v for k, v in os.environ.items() if k not in SIDES[SLEEPING]}


def serve() -> None:
    """Fork a process for each run that is asked for on standard input."""
    from bench.executors import preload  # noqa: F401  torch and timm, before any thread

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
    step_s = loop_s(execution, batch) if side == LOOP else ours_s(execution, batch, seconds)
    pipe.send([batch_size / step_s, time.perf_counter() - start])


def loop_s(execution: Any, batch: Any) -> float:
    """Return the mean of 40 steps after 10."""
    for _ in range(WARMUP):
        execution.forward(batch)
    start = time.perf_counter()
    for _ in range(STEPS):
        execution.forward(batch)
    return (time.perf_counter() - start) / STEPS


def ours_s(execution: Any, batch: Any, seconds: float) -> float:
    """Return the median of the steps that fit into the time, after a warm-up until stable."""
    from bench.measure.timing import Budget, CpuClock, timed

    begun = time.perf_counter()
    warmup = Budget(max_warmup_steps=WARMUP, min_steps=1, min_seconds=0)
    last_s = timed(lambda: execution.forward(batch), CpuClock(), warmup).steps_s[-1]
    # The last step begins before the time is up.
    left_s = max(0.0, seconds - last_s - (time.perf_counter() - begun))
    rest = Budget(warmup_steps=0, min_steps=1, min_seconds=left_s, max_seconds=left_s)
    return median(timed(lambda: execution.forward(batch), CpuClock(), rest).steps_s)


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


def variation(runs: Sequence[Run]) -> float:
    """Return the standard deviation of images/s in shares of their mean."""
    speeds = [run.images_per_s for run in runs]
    return stdev(speeds) / mean(speeds)


def report(load: str, found: dict[str, list[Run]]) -> None:
    """Print the lines of a load."""
    for side, runs in found.items():
        speeds = [run.images_per_s for run in runs]
        print(
            f"| {load} | {side} | {median(speeds):.0f} | {100 * variation(runs):.1f} % | "
            f"{max(speeds) / min(speeds):.2f} | {variation(runs) / variation(found[LOOP]):.2f} | "
            f"{mean(run.seconds for run in runs):.2f} |",
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
    print("| load | side | images/s | variation | max/min | of the loop's | seconds a run |")
    print("|---|---|---:|---:|---:|---:|---:|")
    report(load, found)
    for server in servers.values():
        server.end()


if __name__ == "__main__":
    main()
