"""Rounds of turns, in random order, until a row is clear or its budget is spent."""

import random
import time
from collections.abc import Callable, Sequence
from statistics import median

from bench.records import Round
from bench.stats import Judgement, conclude, judge, next_look

# How many steps to run -> the seconds of each.
Turn = Callable[[int], Sequence[float]]
# (rounds so far, what they say)
Listener = Callable[[int, Judgement], None]

# A turn lasts about so long: long against the change of sides, short against a change of load.
TURN_S = 0.02
MAX_STEPS = 100
_WARM_UP_TURNS = 3


def take_turns(
    a: Turn,
    b: Turn,
    *,
    threshold: float,
    budget_s: float,
    coin: random.Random,
    listen: Listener,
    now: Callable[[], float] = time.monotonic,
) -> tuple[Round, ...]:
    """Return the rounds that two sides took, one side at a time, each order with the same chance.

    Random order makes the sides of an untouched pair exchangeable, whatever disturbs the machine.
    The rounds end at the first look that is clear, or when the budget is spent.

    Args:
        a: runs steps of base.
        b: runs steps of head.
        threshold: the change that must be found, as a fraction.
        budget_s: seconds of rounds.
        coin: draws the orders.
        listen: hears of every look.
        now: the clock, in seconds.
    """
    start = now()
    steps = _steps_a_turn(a, b)
    rounds: list[Round] = []
    due = next_look(0)
    while not rounds or now() - start < budget_s:
        rounds.append(_round(a, b, steps, a_first=coin.random() < 0.5))
        if len(rounds) == due:
            found = judge([one.log_ratio for one in rounds], threshold, last=False)
            listen(len(rounds), found)
            if found.verdict != "ambiguous":
                return tuple(rounds)
            due = next_look(due)
    listen(len(rounds), conclude([one.log_ratio for one in rounds], threshold))
    return tuple(rounds)


def _steps_a_turn(a: Turn, b: Turn) -> int:
    """Warm both sides up, and return how many steps of the slower one make a turn."""
    warm = [(a(1), b(1)) for _ in range(_WARM_UP_TURNS)]
    slower_s = max(median(steps_s[0] for steps_s in side) for side in zip(*warm, strict=True))
    return min(MAX_STEPS, max(1, round(TURN_S / slower_s)))


def _round(a: Turn, b: Turn, steps: int, *, a_first: bool) -> Round:
    if a_first:
        a_steps_s, b_steps_s = a(steps), b(steps)
    else:
        b_steps_s, a_steps_s = b(steps), a(steps)
    return Round(
        first="a" if a_first else "b", a_steps_s=tuple(a_steps_s), b_steps_s=tuple(b_steps_s)
    )
