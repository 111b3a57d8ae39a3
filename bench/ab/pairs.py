"""Pairs of fresh processes, a few rounds each, until a row is clear or its budget is spent."""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import median
from typing import Literal

from bench.records import Pair, Round
from bench.stats import MIN_PAIRS, Judgement, judge

Name = Literal["a", "b"]
# The number of steps to run -> the seconds of each.
Turn = Callable[[int], Sequence[float]]
# The side that is started first -> both sides' turns, of fresh processes that end with the context.
OpenPair = Callable[[Name], AbstractContextManager[tuple[Turn, Turn]]]
# (pairs so far, what they say)
Listener = Callable[[int, Judgement], None]

# The length of a turn: long against the change of sides, short against a change of load.
TURN_S = 0.02
MAX_STEPS = 100
# More rounds than these make a pair hardly more exact: what is left belongs to its processes.
MAX_ROUNDS = 15
_WARM_UP_TURNS = 3


def take_pairs(
    open_pair: OpenPair,
    *,
    threshold: float,
    budget_s: float,
    coin: random.Random,
    listen: Listener,
    now: Callable[[], float] = time.monotonic,
) -> tuple[Pair, ...]:
    """Return the pairs of processes that a row took.

    A process may be slow for as long as it lives, which its own rounds do not show; so each pair
    counts once, and the next one has other processes. Which side is started first, and which has
    the first turn of a round, is random: the sides of an untouched pair are exchangeable, whatever
    disturbs the machine. The first pair decides how large all pairs are. Pairs end when their
    verdict is clear, or when the budget is spent; the last one is finished.

    Args:
        open_pair: starts a process of each side.
        threshold: the change that must be found, as a fraction.
        budget_s: seconds, starting processes included.
        coin: draws the orders.
        listen: is called after every pair.
        now: the clock, in seconds.
    """
    start = now()
    pairs: list[Pair] = []
    size: _Size | None = None
    while True:
        began = now()
        first: Name = "a" if coin.random() < 0.5 else "b"
        with open_pair(first) as (a, b):
            warm = _warm_up(a, b) if first == "a" else _warm_up(b, a)
            open_s = now() - began
            size = size or _size(warm, open_s, budget_s)
            rounds = tuple(
                _round(a, b, size.steps, a_first=coin.random() < 0.5) for _ in range(size.rounds)
            )
        pairs.append(Pair(first=first, open_s=open_s, rounds=rounds))
        found = judge([pair.log_ratio for pair in pairs], threshold)
        listen(len(pairs), found)
        if found.verdict != "ambiguous" or now() - start >= budget_s:
            return tuple(pairs)


@dataclass(frozen=True)
class _Size:
    """Steps per turn, and rounds per pair."""

    steps: int
    rounds: int


def _warm_up(first: Turn, second: Turn) -> tuple[float, float]:
    """Run single steps in turns; return the median seconds of each side's."""
    turns = [(first(1)[0], second(1)[0]) for _ in range(_WARM_UP_TURNS)]
    first_s, second_s = (median(steps_s) for steps_s in zip(*turns, strict=True))
    return first_s, second_s


def _size(warm: tuple[float, float], open_s: float, budget_s: float) -> _Size:
    """Return the size of pairs whose rounds take about as long as opening does.

    Fewer rounds where the fewest pairs that bound anything would not fit into the budget.
    """
    steps = min(MAX_STEPS, max(1, round(TURN_S / max(warm))))
    rounds_s = min(open_s, budget_s / MIN_PAIRS - open_s)
    rounds = round(rounds_s / (steps * sum(warm)))
    return _Size(steps, min(MAX_ROUNDS, max(1, rounds)))


def _round(a: Turn, b: Turn, steps: int, *, a_first: bool) -> Round:
    if a_first:
        a_steps_s, b_steps_s = a(steps), b(steps)
    else:
        b_steps_s, a_steps_s = b(steps), a(steps)
    return Round(
        first="a" if a_first else "b", a_steps_s=tuple(a_steps_s), b_steps_s=tuple(b_steps_s)
    )
