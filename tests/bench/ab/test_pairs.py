"""A row takes pairs of fresh processes until it is clear or its budget is spent."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import exp

import pytest

from bench.ab.pairs import Name, Turn, take_pairs
from bench.records import Pair
from bench.stats import MIN_PAIRS, Judgement

# The clock does not begin at zero.
BEGAN_S = 64.0


class Machine:
    """Two sides on one clock: a step takes its side's time, times the luck of its process."""

    def __init__(
        self, a_s: float, b_s: float, *, noise: float = 0, luck: float = 0, open_s: float = 1
    ) -> None:
        self.now_s = BEGAN_S
        self.started: list[Name] = []
        self.turns: list[tuple[Name, int]] = []
        self.alive = 0
        self.looks: list[Judgement] = []
        self._step_s: dict[Name, float] = {"a": a_s, "b": b_s}
        self._noise = noise
        self._luck = luck
        self._open_s = open_s
        self._random = random.Random(7)

    def now(self) -> float:
        return self.now_s

    @contextmanager
    def open(self, first: Name) -> Iterator[tuple[Turn, Turn]]:
        assert self.alive == 0, "the processes of a pair end before the next ones start"
        self.alive = 2
        self.started.append(first)
        self.now_s += self._open_s
        yield self._process("a"), self._process("b")
        self.alive = 0

    def _process(self, side: Name) -> Turn:
        step_s = self._step_s[side] * exp(self._luck * self._random.gauss(0, 1))

        def turn(steps: int) -> Sequence[float]:
            self.turns.append((side, steps))
            taken = [step_s * self._random.lognormvariate(0, self._noise) for _ in range(steps)]
            self.now_s += sum(taken)
            return taken

        return turn

    def pairs(self, *, budget_s: float = 1000, seed: int = 0) -> tuple[Pair, ...]:
        return take_pairs(
            self.open,
            threshold=0.05,
            budget_s=budget_s,
            coin=random.Random(seed),
            listen=lambda _, found: self.looks.append(found),
            now=self.now,
        )


@pytest.mark.parametrize(("b_s", "verdict"), [(0.01, "same"), (0.012, "slower"), (0.008, "faster")])
def test_a_clear_row_ends_with_the_fewest_pairs(b_s: float, verdict: str) -> None:
    machine = Machine(0.01, b_s, noise=0.01)
    assert len(machine.pairs()) == MIN_PAIRS
    assert [look.verdict for look in machine.looks] == ["ambiguous"] * (MIN_PAIRS - 1) + [verdict]


def test_processes_that_differ_by_luck_take_more_pairs() -> None:
    """However many rounds a pair has, it counts once."""
    machine = Machine(0.01, 0.0105, noise=0.001, luck=0.04)
    assert len(machine.pairs(budget_s=10_000)) > 20
    assert machine.looks[-1].verdict == "slower"


def test_the_budget_counts_the_starts_and_the_last_pair_is_finished() -> None:
    machine = Machine(0.1, 0.1, luck=1, open_s=2)
    pairs = machine.pairs(budget_s=60)
    assert machine.looks[-1].verdict == "ambiguous"
    longest_s = max(pair.open_s or 0 for pair in pairs) + 15
    assert 60 <= machine.now_s - BEGAN_S <= 60 + longest_s
    assert len({len(pair.rounds) for pair in pairs}) == 1


@pytest.mark.parametrize(("budget_s", "pairs"), [(2.0, 1), (2.001, 2)])
def test_a_budget_that_is_just_spent_is_spent(budget_s: float, pairs: int) -> None:
    """1 s to start, six steps of 0.125 s to warm up, and a round: 2 s per pair, exactly."""
    assert len(Machine(0.125, 0.125, open_s=1).pairs(budget_s=budget_s)) == pairs


def test_each_pair_keeps_how_long_it_took_to_open() -> None:
    pairs = Machine(0.125, 0.125, open_s=1).pairs()
    assert [pair.open_s for pair in pairs] == pytest.approx([1.75] * len(pairs))


def test_every_budget_has_a_pair() -> None:
    assert len(Machine(3, 3).pairs(budget_s=0)) == 1


@pytest.mark.parametrize(
    ("step_s", "open_s", "budget_s", "rounds"),
    [
        (0.1, 1.0, 1000, 8),  # three rounds of warm-up open a pair too: 1.6 s, 0.2 s per round
        (0.1, 3.2, 1000, 15),
        (0.1, 10.0, 1000, 15),
        (0.1, 0.0, 1000, 3),
        (2.0, 0.0, 1000, 3),
        (0.1, 1.0, 20, 2),  # 2 s per pair
        (0.1, 1.0, 5, 1),  # not even the fewest pairs fit
    ],
)
def test_rounds_last_about_as_long_as_opening_and_leave_budget_for_the_fewest_pairs(
    step_s: float, open_s: float, budget_s: float, rounds: int
) -> None:
    machine = Machine(step_s, step_s, open_s=open_s)
    assert {len(pair.rounds) for pair in machine.pairs(budget_s=budget_s)} == {rounds}


def test_all_pairs_are_of_the_size_that_the_first_one_chose() -> None:
    machine = Machine(0.007, 0.007, luck=0.5, open_s=0.2)
    pairs = machine.pairs(budget_s=30)
    assert len(pairs) > 10
    shapes = {(len(pair.rounds), len(one.a_steps_s)) for pair in pairs for one in pair.rounds}
    assert len(shapes) == 1


def test_turns_are_as_they_are_recorded_one_of_each_side_a_round() -> None:
    machine = Machine(0.01, 0.02)
    pairs = machine.pairs()
    rounds = [one for pair in pairs for one in pair.rounds]
    timed = [side for side, steps in machine.turns if steps == 1]
    recorded = [side for one in rounds for side in (("a", "b") if one.first == "a" else ("b", "a"))]
    warm = [
        side for pair in pairs for side in (("a", "b") if pair.first == "a" else ("b", "a")) * 3
    ]
    assert sorted(timed) == sorted(recorded + warm)
    assert timed[: 6 + len(recorded) // len(pairs)] == (
        warm[:6] + recorded[: len(recorded) // len(pairs)]
    )
    assert all(max(one.a_steps_s) < min(one.b_steps_s) for one in rounds)


def test_both_orders_are_drawn_with_the_same_chance() -> None:
    machine = Machine(0.1, 0.1, luck=1, open_s=0.1)
    pairs = machine.pairs(budget_s=1000)
    assert [pair.first for pair in pairs] == machine.started
    rounds = [one for pair in pairs for one in pair.rounds]
    for drawn in (pairs, rounds):
        share = sum(one.first == "a" for one in drawn) / len(drawn)
        assert share == pytest.approx(0.5, abs=2.6 * 0.5 / len(drawn) ** 0.5)


def test_the_order_is_the_seeds() -> None:
    def order(seed: int) -> list[str]:
        return [pair.first for pair in Machine(0.01, 0.01, noise=0.01).pairs(seed=seed)]

    assert order(1) == order(1) != order(2)


@pytest.mark.parametrize(
    ("a_s", "b_s", "steps"),
    [(0.001, 0.002, 10), (0.002, 0.001, 10), (0.5, 0.5, 1), (1e-6, 1e-6, 100)],
)
def test_short_steps_are_gathered_into_turns_of_the_slower_side(
    a_s: float, b_s: float, steps: int
) -> None:
    pairs = Machine(a_s, b_s).pairs()
    rounds = [one for pair in pairs for one in pair.rounds]
    assert {len(one.a_steps_s) for one in rounds} == {steps}
    assert {len(one.b_steps_s) for one in rounds} == {steps}
