"""``kill -9`` of a row's process, of the run, or of a Ray node, at random moments, many times.

Each run is killed once, and the same command is given again until it ends well; then the store has
to hold what an undisturbed run's holds: each measurement measured once, figures and predictions
equal to the bit, and every record that stood before a kill unchanged.

    python tests/perf/kill.py [worker] [run] [node] [--times 20] [--seed 0]
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.conditions import cores
from bench.shards import load_predictions, whole_records
from bench.store import Store
from reports import load_frame

FIGURES = ["entry", "status", "params", "macs", "images", "top1", "top5", "content_sha256"]
WORDS = ["run", "efficientnet_lite0", "--figures", "params,gmacs,top1"]
WORDS += ["--batch", "4", "--limit", "12", "--shards", "6", "--retry-failed"]
LOCAL = [*WORDS, "--workers", str(min(2, cores()))]
LINES = 14  # that such a run tells of its rows: the start and the end of each measurement
RAY = [*WORDS, "--executor", "ray"]


def start(words: list[str], store: Path, **environment: str) -> subprocess.Popen[str]:
    """Start the command line in a process of its own; what it tells goes to ``STORE.log``."""
    code = "from bench.cli.main import main; main()"
    with store.with_suffix(".log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-c", code, *words, "--store", str(store)],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=log,
            text=True,
        )


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that live."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def row_processes(run: int) -> list[int]:
    """Return the processes of the rows of a run: what its fork server has forked."""
    return [row for server in children(run) for row in children(server)]


def snapshot(store: Path) -> dict[Path, bytes]:
    """Return all records of a store as they lie there."""
    return {path: path.read_bytes() for path in store.glob("*/*/record.json")}


def answers(store: Path) -> tuple[list[list[Any]], list[Any]]:
    """Return the figures that no clock decides, and all predictions."""
    opened = Store(str(store))
    tables = [
        load_predictions(opened, folders)
        for folders, record in whole_records(opened)
        if record.measure == "accuracy" and record.status == "measured"
    ]
    return load_frame(str(store))[FIGURES].values.tolist(), tables


def faults(store: Path, reference: Path) -> list[str]:
    """Return what a finished store has otherwise than an undisturbed one."""
    found = []
    measured = Counter(
        (record.key, record.measure)
        for _, record in Store(str(store)).records()
        if record.status == "measured"
    )
    if any(times > 1 for times in measured.values()):
        found.append("measured twice")
    (figures, tables), (right, right_tables) = answers(store), answers(reference)
    if figures != right:
        found.append(f"figures {figures} instead of {right}")
    if len(tables) != 1 or not tables[0].equals(right_tables[0]):
        found.append("other predictions")
    return found


def lost(before: dict[Path, bytes]) -> list[str]:
    """Return the records of an earlier snapshot that are gone or changed."""
    gone = [path for path, content in before.items() if path.read_bytes() != content]
    return [f"{path} is gone or changed" for path in gone]


def told(store: Path) -> int:
    """Return how many lines a run has told of its rows."""
    log = store.with_suffix(".log").read_text()
    return sum(line.startswith("[") for line in log.splitlines())


def wait_for(line: int, run: subprocess.Popen[str], store: Path) -> str:
    """Wait for one of the run's lines, and a random time more; return when that was.

    On a busy machine a time alone would mostly meet the start, or come after the end.
    """
    seconds = random.uniform(0, 1)
    while told(store) < line and run.poll() is None:
        time.sleep(0.01)
    time.sleep(seconds)
    return f"{seconds:.2f} s after line {line}"


def kill_run(run: subprocess.Popen[str]) -> bool:
    """Kill the run; its rows have to end by themselves."""
    rows = row_processes(run.pid)
    run.kill()
    run.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{row}").exists() for row in rows):
        assert time.monotonic() < deadline, f"processes {rows} outlive their run"
        time.sleep(0.05)
    return True


def kill_worker(run: subprocess.Popen[str]) -> bool:
    """Kill one row's process, if there is one; return whether there was."""
    rows = row_processes(run.pid)
    if rows:
        os.kill(random.choice(rows), signal.SIGKILL)
    return bool(rows)


@dataclass(frozen=True)
class Outcome:
    """What a run came to, and what was wrong with it."""

    event: str
    faults: list[str]
    is_kill: bool


def one_run(
    words: list[str],
    store: Path,
    kill: Callable[[Any], bool],
    times: int = 1,
    **environment: str,
) -> tuple[list[Outcome], int]:
    """Start a run, and kill something at random moments; return its exit code too."""
    run = start(words, store, **environment)
    outcomes = []
    for line in sorted(random.sample(range(1, LINES + 1), times)):
        moment = wait_for(line, run, store)
        before = snapshot(store)
        if run.poll() is None and kill(run):
            event = f"killed {moment}, on {len(before)} records"
            outcomes.append((event, before))
    run.wait()
    return [Outcome(event, lost(before), True) for event, before in outcomes], run.returncode


def local_kills(
    folder: Path,
    reference: Path,
    times: int,
    kill: Callable[[Any], bool],
    kills_a_run: int,
) -> Iterator[Outcome]:
    """Kill runs of one command until there were enough kills, and every store is finished."""
    kills = stores = 0
    while kills < times:
        store = folder / str(stores)
        code = -1
        while code != 0:
            now = min(kills_a_run, times - kills)
            outcomes, code = one_run(LOCAL, store, kill, now)
            kills += len(outcomes)
            yield from outcomes
        yield Outcome(f"store {stores} is finished", faults(store, reference), is_kill=False)
        stores += 1


def node_kills(folder: Path, reference: Path, times: int) -> Iterator[Outcome]:
    """Kill one of the two nodes of a Ray cluster in each run, which has to end well by itself."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]

    def kill(run: subprocess.Popen[str]) -> bool:
        node = nodes.pop(random.randrange(len(nodes)))
        os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        return True

    kills = stores = 0
    try:
        while kills < times:
            store = folder / str(stores)
            outcomes, code = one_run(RAY, store, kill, RAY_ADDRESS=cluster.address)
            kills += len(outcomes)
            yield from outcomes
            wrong = [] if code == 0 else [f"exit code {code}"]
            wrong += faults(store, reference)
            yield Outcome(f"store {stores} is finished", wrong, is_kill=False)
            stores += 1
            while len(nodes) < 2:
                nodes.append(cluster.add_node(num_cpus=1))
    finally:
        cluster.shutdown()


def report(victim: str, outcomes: Iterator[Outcome]) -> bool:
    """Print a line for what each run came to; return whether all went well."""
    well, kills = True, 0
    for outcome in outcomes:
        kills += outcome.is_kill
        well &= not outcome.faults
        number = kills if outcome.is_kill else ""
        verdict = "; ".join(outcome.faults) or "well"
        print(f"{victim:6} {number:>3}  {outcome.event:<58} {verdict}", flush=True)
    return well


def undisturbed(store: Path) -> None:
    """Make the store that the others have to equal."""
    if start(LOCAL, store).wait() or told(store) != LINES:
        raise SystemExit(store.with_suffix(".log").read_text())


def main() -> None:
    """Kill what is named so many times; exit 1 if anything was lost, or counted twice."""
    parser = argparse.ArgumentParser()
    parser.add_argument("victims", nargs="*", default=["worker", "run", "node"])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    random.seed(chosen.seed)
    well = True
    with tempfile.TemporaryDirectory() as name:
        reference = Path(name, "undisturbed")
        undisturbed(reference)
        for victim in chosen.victims:
            folder = Path(name, victim)
            folder.mkdir()
            if victim == "node":
                outcomes = node_kills(folder, reference, chosen.times)
            else:
                kill, at_once = {"worker": (kill_worker, 3), "run": (kill_run, 1)}[victim]
                outcomes = local_kills(folder, reference, chosen.times, kill, at_once)
            well &= report(victim, outcomes)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
