"""The number of threads that sides run with: a step waits for its slowest, and that for a core."""

from collections.abc import Sequence
from statistics import median
from typing import Protocol

# Fewer threads are taken if a step takes less than this many times as long.
_WORTH = 1.1
# Turns of more and of fewer threads go on until either is reached; there is one at least.
_SPEND_S = 1.0
_MOST_TURNS = 15


class Runner(Protocol):
    """Runs steps with a number of threads."""

    def use_threads(self, threads: int) -> None:
        """Run the coming steps with this number of threads."""

    def turn(self, steps: int) -> Sequence[float]:
        """Return the seconds of each step."""


def fewest_threads(side: Runner, most: int) -> int:
    """Return the threads to compare with: ``most``, halved while that hardly costs any time.

    On a machine whose cores are busy with other things, more threads than free cores make steps
    no faster and far more noisy; nor are they faster where the network is too small for them.
    """
    threads = most
    while threads > 1 and _slowdown(side, threads, threads // 2) <= _WORTH:
        threads //= 2
    return threads


def _slowdown(side: Runner, threads: int, fewer: int) -> float:
    """Return how many times as long a step takes with fewer threads: the median of turns.

    Both take turns, so that a load that comes and goes meets both.
    """
    ratios: list[float] = []
    spent_s = 0.0
    while not ratios or (spent_s < _SPEND_S and len(ratios) < _MOST_TURNS):
        more_s, fewer_s = (_step_s(side, count) for count in (threads, fewer))
        spent_s += more_s + fewer_s
        ratios.append(fewer_s / more_s)
    return median(ratios)


def _step_s(side: Runner, threads: int) -> float:
    """Return the seconds of a step, after one that starts the threads."""
    side.use_threads(threads)
    return side.turn(2)[1]
