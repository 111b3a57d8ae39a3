"""How many threads the sides run with: a step waits for its slowest, and that one for a core."""

from collections.abc import Sequence
from statistics import median
from typing import Protocol

# Fewer threads are taken if a step takes less than so many times as long.
_WORTH = 1.1
_STEPS = 5


class Runner(Protocol):
    """Runs steps with a number of threads."""

    def use_threads(self, threads: int) -> None:
        """Run the coming steps with so many threads."""

    def turn(self, steps: int) -> Sequence[float]:
        """Return the seconds of so many steps."""


def fewest_threads(side: Runner, most: int) -> int:
    """Return the threads to compare with: ``most``, halved while that hardly costs any time.

    On a machine whose cores are busy with other things, more threads than free cores make steps
    no faster and far more noisy; nor do they where the network is too small for them.
    """
    threads, step_s = most, _step_s(side, most)
    while threads > 1:
        half_s = _step_s(side, threads // 2)
        if half_s > _WORTH * step_s:
            break
        threads, step_s = threads // 2, half_s
    return threads


def _step_s(side: Runner, threads: int) -> float:
    side.use_threads(threads)
    side.turn(1)
    return median(side.turn(_STEPS))
