"""Do fresh processes take away the correlation that one long life has? Measured, not simulated.

Identical sides: one pair of processes that lives on and fresh pairs take turns of a few rounds
each, while neighbours keep the cores busy. Run it from the repository's root:

    python -m benchmarks.ab_lives benchmarks/results/ab_lives-DATE.json --load 4 --seconds 140

Each call appends one measurement to the file and prints the rank autocorrelation of the turns'
median log ratios, with the p value of a permutation test over lags 1 to 5.
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import conditions
from bench.ab.process import SideProcess
from zoo.libraries import library_entries

LAGS = 5
_PERMUTATIONS = 5000
# Works and rests in turns, each for a random time of 4 s on average: half a core on average.
_NEIGHBOUR = """
import random, sys, time
coin = random.Random(int(sys.argv[1]))
while True:
    end = time.monotonic() + coin.expovariate(1 / 4)
    while time.monotonic() < end:
        pass
    time.sleep(coin.expovariate(1 / 4))
"""


@contextmanager
def neighbours(load: int) -> Iterator[None]:
    """Run processes that come and go, ``load`` of them at work on average."""
    processes = [
        subprocess.Popen([sys.executable, "-c", _NEIGHBOUR, str(seed)]) for seed in range(2 * load)
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measure(network: str, rounds: int, seconds: float, seed: int) -> list[dict[str, Any]]:
    """Return the turns: log ratios of the long-lived pair and of a fresh pair, and the load."""
    entry = library_entries(network)[0].model_dump(mode="json")
    request = {"entry": entry, "settings": {}, "batch_size": 1}
    long, fresh = ([SideProcess(name, sys.executable, None) for name in "ab"] for _ in range(2))
    coin = random.Random(seed)
    turns: list[dict[str, Any]] = []
    try:
        for side in (*long, *fresh):
            side.check()
        _open(long, request, coin)
        step_s = max(median(side.turn(5)) for side in long)
        steps = max(1, round(0.02 / step_s))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            kept = _log_ratios(long, steps, rounds, coin)
            start = time.monotonic()
            _open(fresh, request, coin)
            open_s = time.monotonic() - start
            new = _log_ratios(fresh, steps, rounds, coin)
            for side in fresh:
                side.end_row()
            turns.append(
                {
                    "long": kept,
                    "fresh": new,
                    "open_s": round(open_s, 3),
                    "load_average": conditions.load_average(),
                }
            )
    finally:
        for side in (*long, *fresh):
            side.end()
    return turns


def _open(sides: Sequence[SideProcess], request: dict[str, Any], coin: random.Random) -> None:
    order = coin.sample(list(sides), 2)
    for side in order:
        side.begin_row(request)
    for side in order:
        side.opened()
    for side in order:
        side.use_threads(1)
        side.turn(3)


def _log_ratios(
    sides: Sequence[SideProcess], steps: int, rounds: int, coin: random.Random
) -> list[float]:
    found = []
    for _ in range(rounds):
        step_s = {place: median(sides[place].turn(steps)) for place in coin.sample([0, 1], 2)}
        found.append(round(math.log(step_s[1] / step_s[0]), 5))
    return found


def autocorrelation(values: NDArray[np.float64], lag: int) -> float:
    """Return the rank autocorrelation of a series at a lag."""
    ranks = values.argsort().argsort() - (len(values) - 1) / 2
    return float((ranks[:-lag] * ranks[lag:]).sum() / (ranks**2).sum())


def permutation_p(values: NDArray[np.float64]) -> float:
    """Return how often a shuffled series has a sum of autocorrelations, lags 1-5, as large."""
    shuffle = np.random.default_rng(0).permutation

    def total(series: NDArray[np.float64]) -> float:
        return sum(autocorrelation(series, lag) for lag in range(1, LAGS + 1))

    own = total(values)
    larger = sum(total(shuffle(values)) >= own for _ in range(_PERMUTATIONS))
    return (1 + larger) / (1 + _PERMUTATIONS)


def describe(measurement: dict[str, Any]) -> str:
    """Return a line for the long life and one for the fresh pairs."""
    lines = []
    for kind in ("long", "fresh"):
        rounds = np.array([turn[kind] for turn in measurement["turns"]])
        values = np.median(rounds, axis=1)
        found = [f"{autocorrelation(values, lag):5.2f}" for lag in range(1, LAGS + 1)]
        predicted = _spread(rounds - values[:, None]) * 1.25 / math.sqrt(rounds.shape[1])
        lines.append(
            f"{kind:5s} {len(values)} turns, lags 1-{LAGS}: {' '.join(found)} "
            f"(s.e. {1 / math.sqrt(len(values)):.2f}), p {permutation_p(values):.4f}, "
            f"spread {_spread(values):.3f}, of independent rounds {predicted:.3f}"
        )
    return "\n".join(lines)


def _spread(values: NDArray[np.float64]) -> float:
    """Return the standard deviation of a normal distribution with the same quartiles."""
    return float(np.subtract(*np.percentile(values, [75, 25])) / 1.349)


def main() -> None:
    """Measure once, append it to the file, print what it shows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--network", default="timm:mobilenetv3_small_050")
    parser.add_argument("--load", type=int, default=0, help="neighbours at work on average")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of a turn")
    parser.add_argument("--seconds", type=float, default=140)
    parser.add_argument("--seed", type=int, default=1)
    words = parser.parse_args()
    document = json.loads(words.file.read_text()) if words.file.is_file() else []
    with neighbours(words.load):
        turns = measure(words.network, words.rounds, words.seconds, words.seed)
    measurement = {
        "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "network": words.network,
        "neighbours": words.load,
        "rounds_per_turn": words.rounds,
        "cores": os.cpu_count(),
        "processor": conditions.processor_name(),
        "turns": turns,
    }
    words.file.write_text(json.dumps([*document, measurement]) + "\n")
    loads = [turn["load_average"] for turn in turns]
    print(f"{words.network}, load {min(loads):.1f} to {max(loads):.1f}")
    print(describe(measurement))


if __name__ == "__main__":
    main()
