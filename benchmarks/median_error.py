"""Does the standard error of the median of one run's steps keep its word?

Lognormal or skew steps, independent or not, of known true median; how often the median is within
1.96 of the errors that ``bench.stats.median_rse`` states, where 95 % is meant. Run it from the
repository's root:

    python -m benchmarks.median_error benchmarks/results/median_error-DATE.json
"""

import argparse
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats import median_rse

Array = NDArray[np.float64]
# (trials, steps) -> seconds, a row per trial.
Steps = Callable[[int, int], Array]

COUNTS = (10, 20, 40, 100, 200)
random = np.random.default_rng(7)


def autoregression(phi: float) -> Steps:
    """Return steps of spread 5 % whose logarithms agree with the one before."""

    def make(trials: int, steps: int) -> Array:
        logs = 0.05 * random.normal(size=(trials, steps))
        logs[:, 1:] *= math.sqrt(1 - phi**2)
        for i in range(1, steps):
            logs[:, i] += phi * logs[:, i - 1]
        return np.exp(logs)

    return make


def skew(trials: int, steps: int) -> Array:
    """Independent steps with a long tail upwards."""
    return 1 + random.exponential(0.1, (trials, steps))


def bursts(trials: int, steps: int) -> Array:
    """A neighbour comes and goes: 30 % slower for 5 to 30 steps, a third of the time."""
    found = np.exp(0.02 * random.normal(size=(trials, steps)))
    for row in found:
        at = -int(random.integers(0, 30))
        while at < steps:
            length = int(random.integers(5, 31))
            if random.random() < 1 / 3:
                row[max(at, 0) : max(at + length, 0)] *= 1.3
            at += length
    return found


KINDS: dict[str, Steps] = {
    "independent": autoregression(0),
    "skew": skew,
    "AR 0.3": autoregression(0.3),
    "AR 0.6": autoregression(0.6),
    "AR 0.9": autoregression(0.9),
    "bursts": bursts,
}


def run(kind: str, steps: int, trials: int) -> dict[str, Any]:
    """Return the share of medians within 1.96 errors (or unknown), and that of unknown errors."""
    make = KINDS[kind]
    true = float(np.median(make(1000, 400)))
    series = make(trials, steps)
    medians = np.median(series, axis=1)
    errors = np.array([median_rse(row) for row in series]) * medians
    known = np.isfinite(errors)
    stated = float(errors[known].mean() / medians.std()) if known.any() else None
    return {
        "kind": kind,
        "steps": steps,
        "covered": float(np.mean(np.abs(medians - true) <= 1.96 * errors)),
        "unknown": float(1 - known.mean()),
        "stated_over_true": stated,
    }


def main() -> None:
    """Simulate, write every share, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--trials", type=int, default=2000)
    words = parser.parse_args()
    results = [run(kind, steps, words.trials) for kind in KINDS for steps in COUNTS]
    document = {
        "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "trials": words.trials,
        "results": results,
    }
    words.file.write_text(json.dumps(document, indent=1) + "\n")
    print("| steps | " + " | ".join(f"n = {count}" for count in COUNTS) + " |")
    print("|:--|" + "--:|" * len(COUNTS))
    for kind in KINDS:
        cells = [f"{r['covered']:.0%} [{r['unknown']:.0%}]" for r in results if r["kind"] == kind]
        print(f"| {kind} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
