"""The logic of timing, by a clock that the test moves."""

from hypothesis import given
from hypothesis import strategies as st

from bench.measure.timing import Budget, timed


class FakeClock:
    """Moves only when a step says so."""

    def __init__(self) -> None:
        self.time_s = 0.0
        self.marks: list[float] = []

    def now(self) -> float:
        return self.time_s

    def mark(self) -> None:
        self.marks.append(self.time_s)

    def steps_s(self) -> tuple[float, ...]:
        return tuple(b - a for a, b in zip(self.marks, self.marks[1:], strict=False))


@given(step_s=st.floats(1e-4, 10), min_steps=st.integers(1, 50), min_seconds=st.floats(0, 5))
def test_both_floors_hold_and_no_step_is_lost(
    step_s: float, min_steps: int, min_seconds: float
) -> None:
    clock = FakeClock()
    calls = []

    def step() -> None:
        calls.append(clock.time_s)
        clock.time_s += step_s

    budget = Budget(warmup_steps=3, min_steps=min_steps, min_seconds=min_seconds, max_steps=1000)
    timing = timed(step, clock, budget)
    steps = len(timing.steps_s)
    assert len(calls) == 3 + steps
    assert steps >= min_steps
    assert steps == budget.max_steps or timing.wall_s >= min_seconds
    # One step fewer would have missed a floor.
    assert steps == min_steps or (steps - 1) * step_s < min_seconds + 1e-9
    assert abs(sum(timing.steps_s) - timing.wall_s) < 1e-6 * max(timing.wall_s, 1)


def test_warm_up_is_not_timed() -> None:
    clock = FakeClock()
    lengths = iter([9.0, 9.0, 1.0, 2.0, 3.0])

    def step() -> None:
        clock.time_s += next(lengths)

    timing = timed(step, clock, Budget(warmup_steps=2, min_steps=3, min_seconds=0))
    assert timing.steps_s == (1.0, 2.0, 3.0)
