"""How often does ``zoobench ab`` err, and what does it cost, under noise of many kinds?

Series of rounds of an untouched or a 5 % slower network are drawn, and ``bench.stats.judge`` looks
at them as the command does, after every pair. The noise is symmetric, so the true ratio is known.
Run it from the repository's root:

    python -m benchmarks.ab_simulation benchmarks/results/ab_simulation-DATE.json

Five designs are judged by the same rule:

- ``life``: one pair of processes for ever; each round counts, as if rounds were independent.
- ``pairs``: what slows a process ends with it. A pair of 10 rounds counts once.
- ``pairs of 3``: the same with 3 rounds, as where a network is fast to run and slow to open.
- ``coin``: the noise goes on across processes, at the place of the side that was started first.
- ``no coin``: the noise goes on across processes and stays with its side. No design can tell it
  from a change; this is the limit of the method.

Real traces (``benchmarks/data/ab_traces.json``) are resampled in blocks of 20, 60 or 120 rounds.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats import MIN_PAIRS, Judgement, judge

Array = NDArray[np.float64]
# (trials, rounds) -> log ratios of an untouched pair, a row per trial.
Noise = Callable[[int, int], Array]

THRESHOLD = 0.05
EFFECTS = (0.0, 0.05)
ROUNDS = 600  # in all
ROUNDS_OF_A_LIFE = 400
_LIFE_LOOKS_EVERY = 10
TRACES = Path(__file__).with_name("data") / "ab_traces.json"
random = np.random.default_rng(20261128)


def normal(trials: int, rounds: int) -> Array:
    """Independent rounds, standard deviation 5 %."""
    return 0.05 * random.normal(size=(trials, rounds))


def heavy(trials: int, rounds: int) -> Array:
    """Independent rounds with the tails of Student's t of two degrees of freedom."""
    return 0.05 / 1.5 * random.standard_t(2, (trials, rounds))


def autoregression(phi: float) -> Noise:
    """Return rounds of standard deviation 5 % that agree with the one before."""

    def make(trials: int, rounds: int) -> Array:
        noise = 0.05 * random.normal(size=(trials, rounds))
        noise[:, 1:] *= math.sqrt(1 - phi**2)
        for i in range(1, rounds):
            noise[:, i] += phi * noise[:, i - 1]
        return noise

    return make


def walk(trials: int, rounds: int) -> Array:
    """A machine that starts anywhere within some percent, and then wanders."""
    start = 0.03 * random.normal(size=(trials, 1))
    steps = 0.005 * random.normal(size=(trials, rounds - 1))
    path = np.cumsum(np.concatenate([start, steps], axis=1), axis=1)
    return path + 0.03 * random.normal(size=(trials, rounds))


def regime(size: float) -> Noise:
    """Return noise of which a side is slower by ``size`` for stretches of 20 to 150 rounds."""

    def make(trials: int, rounds: int) -> Array:
        noise = 0.03 * random.normal(size=(trials, rounds))
        for row in noise:
            at = -int(random.integers(0, 150))
            while at < rounds:
                length = int(random.integers(20, 151))
                row[max(at, 0) : max(at + length, 0)] += random.choice([-size, 0, size])
                at += length
        return noise

    return make


def life(size: float) -> Noise:
    """Return noise of which a side is slower by ``size`` for the whole life of its process."""

    def make(trials: int, rounds: int) -> Array:
        whole = random.choice([-size, 0, 0, size], (trials, 1))
        return whole + 0.03 * random.normal(size=(trials, rounds))

    return make


def blocks(trace: Sequence[float], length: int) -> Noise:
    """Return a block bootstrap of a life's rounds, less their median, each block of either sign."""
    centred = np.asarray(trace) - np.median(trace)

    def make(trials: int, rounds: int) -> Array:
        count = rounds // length + 2
        starts = random.integers(0, len(centred) - length + 1, (trials, count))
        signs = random.choice([-1, 1], (trials, count, 1))
        drawn = centred[starts[:, :, None] + np.arange(length)] * signs
        shift = int(random.integers(0, length))
        return drawn.reshape(trials, -1)[:, shift : shift + rounds]

    return make


def clusters(pairs: Sequence[Sequence[float]]) -> Noise:
    """Return a bootstrap of whole pairs of fresh processes, each of either sign."""
    raw = np.asarray(pairs)
    centred = raw - np.median(np.median(raw, axis=1))

    def make(trials: int, rounds: int) -> Array:
        count = -(-rounds // raw.shape[1])
        signs = random.choice([-1, 1], (trials, count, 1))
        drawn = centred[random.integers(0, len(centred), (trials, count))] * signs
        return drawn.reshape(trials, -1)[:, :rounds]

    return make


def kinds() -> Iterator[tuple[str, Noise]]:
    """Yield the kinds of noise, with their names."""
    yield "normal", normal
    yield "t2", heavy
    yield from ((f"AR {phi}", autoregression(phi)) for phi in (0.3, 0.6, 0.9))
    yield "walk", walk
    yield "regime 30 %", regime(math.log(1.3))
    yield "regime 5 %", regime(math.log(1.05))
    yield "life 30 %", life(math.log(1.3))
    yield "life 5 %", life(math.log(1.05))
    for trace in json.loads(TRACES.read_text()):
        if trace["kind"] == "pairs":
            yield trace["name"], clusters(trace["log_ratios"])
            continue
        for length in (20, 60, 120):
            if 2 * length <= len(trace["log_ratios"]):  # else there are hardly any starts
                yield f"{trace['name']}, blocks of {length}", blocks(trace["log_ratios"], length)


def medians(make: Noise, trials: int, rounds: int, design: str) -> Array:
    """Return the median log ratio of each pair, (trials, pairs)."""
    pairs = ROUNDS // rounds
    if design.startswith("pairs"):
        return np.median(make(trials * pairs, rounds), axis=1).reshape(trials, pairs)
    found = np.median(make(trials, pairs * rounds).reshape(trials, pairs, rounds), axis=2)
    return found * random.choice([-1, 1], (trials, pairs)) if design == "coin" else found


DESIGNS = {"life": 1, "pairs": 10, "pairs of 3": 3, "coin": 10, "no coin": 10}


def run(make: Noise, design: str, effect: float, trials: int) -> dict[str, float]:
    """Return shares of verdicts and of intervals that missed, and the mean cost."""
    rounds, every = DESIGNS[design], 1
    if design == "life":
        series, every = make(trials, ROUNDS_OF_A_LIFE), _LIFE_LOOKS_EVERY
    else:
        series = medians(make, trials, rounds, design)
    log_effect = math.log1p(effect)
    ends = [_end((row + log_effect).tolist(), every) for row in series]
    found = {
        verdict: sum(one.verdict == verdict for _, one in ends) / trials
        for verdict in ("same", "slower", "faster", "ambiguous")
    }
    missed = sum(
        one.interval is not None and not one.interval.low <= 1 + effect <= one.interval.high
        for _, one in ends
    )
    units = sum(count for count, _ in ends) / trials
    return {
        **found,
        "missed": missed / trials,
        "pairs": 1.0 if design == "life" else units,
        "rounds": units * rounds,
    }


def _end(series: list[float], every: int) -> tuple[int, Judgement]:
    """Look at a series until it is clear; return how much of it was taken, and what it says."""
    for count in range(MIN_PAIRS, len(series), every):
        found = judge(series[:count], THRESHOLD)
        if found.verdict != "ambiguous":
            return count, found
    return len(series), judge(series, THRESHOLD)


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return Markdown: for each kind of noise and design how often it errs, and what it costs."""
    lines = [
        "| noise | " + " | ".join(DESIGNS) + " | pairs, untouched | pairs, 5 % | clear, 5 % |",
        "|:--|" + "--:|" * (len(DESIGNS) + 3),
    ]
    by = {(r["kind"], r["design"], r["effect"]): r for r in results}
    for kind in dict.fromkeys(r["kind"] for r in results):
        errs = [f"{100 * _error(by, kind, design):.1f}" for design in DESIGNS]
        untouched, slower = (by[kind, "pairs", effect] for effect in EFFECTS)
        costs = [f"{untouched['pairs']:.0f}", f"{slower['pairs']:.0f}", f"{slower['slower']:.0%}"]
        lines.append("| " + " | ".join([kind, *errs, *costs]) + " |")
    worst = [f"{100 * max(_error(by, k, d) for k, _, _ in by):.1f}" for d in DESIGNS]
    lines.append("| **worst** | " + " | ".join(worst) + " | | | |")
    return "\n".join(lines)


def _error(by: dict[Any, dict[str, Any]], kind: str, design: str) -> float:
    """Return the larger share of intervals that missed, and of verdicts that were wrong."""
    untouched, slower = (by[kind, design, effect] for effect in EFFECTS)
    wrong = untouched["slower"] + untouched["faster"], slower["same"] + slower["faster"]
    return float(max(untouched["missed"], slower["missed"], *wrong))


def main() -> None:
    """Simulate, write every share, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--kinds", nargs="*", help="only those whose name contains one of these")
    words = parser.parse_args()
    results: list[dict[str, Any]] = []
    for kind, make in kinds():
        if words.kinds and not any(part in kind for part in words.kinds):
            continue
        for design in DESIGNS:
            for effect in EFFECTS:
                shares = run(make, design, effect, words.trials)
                results.append({"kind": kind, "design": design, "effect": effect, **shares})
        print(kind, file=sys.stderr, flush=True)
    document = {
        "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "trials": words.trials,
        "threshold": THRESHOLD,
        "results": results,
    }
    words.file.write_text(json.dumps(document, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
