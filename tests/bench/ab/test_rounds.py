"""Sides take turns in random order until a row is clear or its budget is spent."""

import random
from collections.abc import Sequence

from bench.ab.rounds import take_turns
from bench.ab.threads import fewest_threads
from bench.records import Round
from bench.stats import Judgement


class Machine:
    """Two sides on one clock: a step takes its side's time, with noise that both share."""

    def __init__(self, a_s: float, b_s: float, *, noise: float) -> None:
        self.now_s = 0.0
        self.turns: list[tuple[str, int]] = []
        self._step_s = {"a": a_s, "b": b_s}
        self._noise = noise
        self._random = random.Random(7)

    def now(self) -> float:
        return self.now_s

    def _turn(self, side: str, steps: int) -> Sequence[float]:
        self.turns.append((side, steps))
        factors = [self._random.lognormvariate(0, self._noise) for _ in range(steps)]
        taken = [self._step_s[side] * factor for factor in factors]
        self.now_s += sum(taken)
        return taken

    def rounds(
        self, *, budget_s: float = 60, seed: int = 0, looks: list[Judgement] | None = None
    ) -> tuple[Round, ...]:
        return take_turns(
            lambda steps: self._turn("a", steps),
            lambda steps: self._turn("b", steps),
            threshold=0.05,
            budget_s=budget_s,
            coin=random.Random(seed),
            listen=lambda _, found: looks.append(found) if looks is not None else None,
            now=self.now,
        )


def test_a_clear_row_ends_at_its_first_look() -> None:
    looks: list[Judgement] = []
    assert len(Machine(0.01, 0.01, noise=0.01).rounds(looks=looks)) == 30
    assert [look.verdict for look in looks] == ["same"]
    assert len(Machine(0.01, 0.012, noise=0.01).rounds(looks=looks)) == 30
    assert looks[-1].verdict == "slower"


def test_an_ambiguous_row_goes_on_to_a_later_look() -> None:
    looks: list[Judgement] = []
    rounds = Machine(0.05, 0.0525, noise=0.05).rounds(looks=looks)
    assert len(rounds) > 30
    assert [look.verdict for look in looks[:-1]] == ["ambiguous"] * (len(looks) - 1)
    assert looks[-1].verdict == "slower"


def test_the_budget_ends_a_row_that_stays_ambiguous() -> None:
    machine = Machine(0.1, 0.1, noise=1)
    rounds = machine.rounds(budget_s=20)
    assert len(rounds) > 30
    longest_round_s = max(sum(one.a_steps_s) + sum(one.b_steps_s) for one in rounds)
    assert 20 <= machine.now_s <= 20 + longest_round_s


def test_a_slow_network_may_have_fewer_rounds_than_a_look_needs() -> None:
    rounds = Machine(3, 3, noise=0.01).rounds(budget_s=60)
    assert 1 <= len(rounds) < 30


def test_every_budget_has_a_round() -> None:
    assert len(Machine(3, 3, noise=0.01).rounds(budget_s=0)) == 1


def test_turns_are_as_they_are_recorded_one_of_each_side_a_round() -> None:
    machine = Machine(0.01, 0.02, noise=0)
    rounds = machine.rounds()
    timed = [side for side, _ in machine.turns[6:]]
    recorded = [side for one in rounds for side in (("a", "b") if one.first == "a" else ("b", "a"))]
    assert timed == recorded
    assert all(max(one.a_steps_s) < min(one.b_steps_s) for one in rounds)
    assert {one.first for one in rounds} == {"a", "b"}


def test_the_order_is_the_seeds() -> None:
    def order(seed: int) -> list[str]:
        return [one.first for one in Machine(0.01, 0.01, noise=0.01).rounds(seed=seed)]

    assert order(1) == order(1) != order(2)


def test_short_steps_are_gathered_into_turns_that_both_sides_take_alike() -> None:
    for a_s, b_s, steps in ((0.001, 0.002, 10), (0.5, 0.5, 1), (1e-6, 1e-6, 100)):
        rounds = Machine(a_s, b_s, noise=0).rounds()
        assert {len(one.a_steps_s) for one in rounds} == {steps}
        assert {len(one.b_steps_s) for one in rounds} == {steps}


class Threads:
    """A side whose step's seconds depend on the threads."""

    def __init__(self, step_s: dict[int, float]) -> None:
        self._step_s = step_s
        self.threads = 0

    def use_threads(self, threads: int) -> None:
        self.threads = threads

    def turn(self, steps: int) -> Sequence[float]:
        return [self._step_s[self.threads]] * steps


def test_threads_are_those_that_pay() -> None:
    assert fewest_threads(Threads({4: 1.0, 2: 1.9, 1: 3.8}), 4) == 4
    assert fewest_threads(Threads({4: 1.0, 2: 1.05, 1: 2.0}), 4) == 2
    assert fewest_threads(Threads({2: 1.0, 1: 0.4}), 2) == 1
    assert fewest_threads(Threads({1: 1.0}), 1) == 1
