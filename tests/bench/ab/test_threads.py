"""The number of threads that a comparison runs with."""

import random
from collections.abc import Sequence
from math import exp

import pytest

from bench.ab.threads import fewest_threads


class Threads:
    """A side whose step's seconds depend on the threads, and on the machine's load at the time."""

    def __init__(self, step_s: dict[int, float], *, noise: float = 0, seed: int = 0) -> None:
        self._step_s = step_s
        self._noise = noise
        self._random = random.Random(seed)
        self._load = 0.0
        self._threads = 0
        self.seconds = 0.0
        self.turns: list[int] = []

    def use_threads(self, threads: int) -> None:
        self._threads = threads

    def turn(self, steps: int) -> Sequence[float]:
        self.turns.append(self._threads)
        self._load += self._noise * self._random.gauss(0, 1)  # wanders
        own = self._noise * self._random.gauss(0, 1)
        taken = [self._step_s[self._threads] * exp(self._load + own)] * steps
        self.seconds += sum(taken)
        return taken


@pytest.mark.parametrize(
    ("step_s", "threads"),
    [
        ({4: 1.0, 2: 1.9, 1: 3.8}, 4),
        ({4: 1.0, 2: 1.05, 1: 2.0}, 2),
        ({2: 1.0, 1: 0.4}, 1),
        ({1: 1.0}, 1),
        # On both sides of a tenth.
        ({2: 1.0, 1: 1.09}, 1),
        ({2: 1.0, 1: 1.11}, 2),
        ({6: 1.0, 3: 1.0, 1: 1.0}, 1),
        # Each half is compared with the one before it.
        ({4: 1.0, 2: 1.09, 1: 1.18}, 1),
    ],
)
def test_threads_are_those_that_pay(step_s: dict[int, float], threads: int) -> None:
    assert fewest_threads(Threads(step_s), max(step_s)) == threads


def test_a_load_that_comes_and_goes_hardly_ever_decides() -> None:
    """A wrong choice made the pairs of a loaded machine five times as noisy."""
    chosen = [
        fewest_threads(Threads({2: 0.02, 1: 0.018}, noise=0.15, seed=seed), 2)
        for seed in range(200)
    ]
    assert chosen.count(1) >= 195
    chosen = [
        fewest_threads(Threads({2: 0.02, 1: 0.035}, noise=0.15, seed=seed), 2)
        for seed in range(200)
    ]
    assert chosen.count(2) >= 195


@pytest.mark.parametrize(
    ("step_s", "turns"), [(10.0, 2), (0.3, 4), (0.26, 4), (0.24, 6), (0.051, 20), (0.001, 30)]
)
def test_a_second_is_enough_and_a_slow_network_has_one_turn(step_s: float, turns: int) -> None:
    side = Threads({2: step_s, 1: step_s})
    assert fewest_threads(side, 2) == 1
    assert side.turns == [2, 1] * (turns // 2)


def test_the_step_that_starts_the_threads_does_not_count() -> None:
    class Starting(Threads):
        def turn(self, steps: int) -> Sequence[float]:
            first, *others = super().turn(steps)
            return [10 * first if self._threads > 1 else first, *others]

    assert fewest_threads(Starting({2: 1.0, 1: 1.9}), 2) == 2
