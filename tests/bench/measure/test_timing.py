"""The logic of timing, by a clock that the test moves."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, cycle, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.timing import Budget, Timing, timed, timed_parts
from bench.stats import median_rse


class FakeClock:
    """Moves only when a step says so."""

    def __init__(self) -> None:
        self.time_s = 0.0
        self.marks: list[float] = []
        self.waits = 0

    def now(self) -> float:
        return self.time_s

    def mark(self) -> None:
        self.marks.append(self.time_s)

    def steps_s(self) -> tuple[float, ...]:
        self.waits += 1
        return tuple(b - a for a, b in zip(self.marks, self.marks[1:], strict=False))


def _taking(clock: FakeClock, lengths_s: Iterable[float]) -> Callable[[], None]:
    """Return a step that takes each of these lengths in turn."""
    left = iter(lengths_s)

    def step() -> None:
        clock.time_s += next(left)

    return step


def _timed(lengths_s: Iterable[float], budget: Budget) -> Timing:
    clock = FakeClock()
    return timed(_taking(clock, lengths_s), clock, budget)


@given(step_s=st.floats(1e-4, 10), min_steps=st.integers(1, 50), min_seconds=st.floats(0, 5))
def test_both_floors_hold_and_no_step_is_lost(
    step_s: float, min_steps: int, min_seconds: float
) -> None:
    clock = FakeClock()
    calls = []

    def step() -> None:
        calls.append(clock.time_s)
        clock.time_s += step_s

    budget = Budget(
        warmup_steps=3,
        min_steps=min_steps,
        min_seconds=min_seconds,
        max_steps=1000,
        max_seconds=1e6,
    )
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


def test_a_warm_up_goes_on_until_steps_are_stable() -> None:
    lengths = chain([0.8] * 4, [0.4] * 4, [0.2] * 4, repeat(0.201))
    timing = _timed(lengths, Budget(max_warmup_seconds=60, min_seconds=0))
    assert (timing.warmup_steps, timing.warmed_up) == (16, "stable")
    assert timing.steps_s == pytest.approx([0.201] * 10)


def test_a_stable_warm_up_still_lasts_its_least_seconds() -> None:
    budget = Budget(min_warmup_seconds=3, max_warmup_seconds=60, min_seconds=0)
    timing = _timed(repeat(0.25), budget)
    assert (timing.warmup_steps, timing.warmed_up) == (12, "stable")


@pytest.mark.parametrize(
    ("caps", "steps"),
    [
        ({"max_warmup_steps": 10, "max_warmup_seconds": 1e9}, 10),
        ({"max_warmup_steps": 100, "max_warmup_seconds": 7}, 3),  # 1 + 2 + 4
    ],
)
def test_a_warm_up_that_never_settles_ends_at_a_cap(caps: dict[str, int], steps: int) -> None:
    timing = _timed((2.0**i for i in range(1000)), Budget(**caps, min_steps=1, min_seconds=0))
    assert (timing.warmup_steps, timing.warmed_up) == (steps, "cap")


def test_a_step_that_is_slower_than_all_caps_is_still_measured_once() -> None:
    timing = _timed(repeat(100.0), Budget())
    assert (timing.warmup_steps, timing.steps_s, timing.ended) == (1, (100.0,), "max_seconds")


UNEVEN = [1.0, 1.2, 0.9, 1.1, 0.8, 1.3, 1.05, 0.95, 1.01]


@given(target_rse=st.floats(0.004, 0.1), lengths=st.permutations(UNEVEN))
def test_a_target_is_met_soon_after_it_can_be(target_rse: float, lengths: list[float]) -> None:
    budget = Budget(0, min_seconds=0, target_rse=target_rse, max_steps=10**6, max_seconds=1e9)
    timing = _timed(cycle(lengths), budget)
    assert timing.ended == "target"
    steps = len(timing.steps_s)
    assert median_rse(timing.steps_s) <= target_rse
    # A look earlier, at four fifths of the sample, it was not met yet.
    assert steps == budget.min_steps or median_rse(timing.steps_s[: int(steps / 1.25)]) > target_rse


@pytest.mark.parametrize(
    ("caps", "ended"),
    [({"max_steps": 50, "max_seconds": 99}, "max_steps"), ({"max_seconds": 30}, "max_seconds")],
)
def test_a_target_that_is_never_met_ends_at_a_cap(caps: dict[str, int], ended: str) -> None:
    timing = _timed(cycle([1.0, 2.0]), Budget(0, min_seconds=0, target_rse=1e-4, **caps))
    assert timing.ended == ended
    assert len(timing.steps_s) <= 50
    assert timing.wall_s <= 75


def test_nothing_waits_for_the_device_between_steps() -> None:
    clock = FakeClock()
    timed(_taking(clock, repeat(0.1)), clock, Budget(warmup_steps=5, min_steps=100))
    assert clock.waits == 2  # after the warm-up, and at the end


def test_time_between_two_stretches_is_no_step() -> None:
    clock = FakeClock()
    read = clock.steps_s

    def slow_to_read() -> tuple[float, ...]:
        clock.time_s += 10
        return read()

    clock.steps_s = slow_to_read  # type: ignore[method-assign]
    budget = Budget(0, min_seconds=0, target_rse=0.02, max_seconds=1e9)
    timing = timed(_taking(clock, cycle(UNEVEN)), clock, budget)
    assert clock.waits > 2
    assert max(timing.steps_s) == pytest.approx(1.3)
    gaps = [b - a for a, b in zip(timing.offsets_s, timing.offsets_s[1:], strict=False)]
    assert sum(gap > 10 for gap in gaps) == clock.waits - 2


def test_parts_add_up_to_steps() -> None:
    clock = FakeClock()
    parts = [_taking(clock, repeat(s)) for s in (0.2, 0.5, 0.1)]
    timing = timed_parts(parts, clock, Budget(warmup_steps=1, min_steps=4, min_seconds=0))
    assert timing.steps_s == pytest.approx([0.8] * 4)
    assert timing.parts_s[1] == pytest.approx([0.5] * 4)
    assert timing.offsets_s == pytest.approx([0, 0.8, 1.6, 2.4])


def test_watches_see_the_timed_steps_only() -> None:
    clock = FakeClock()
    seen = []

    @contextmanager
    def watch() -> Iterator[None]:
        seen.append(clock.time_s)
        yield
        seen.append(clock.time_s)

    budget = Budget(warmup_steps=3, min_steps=10, min_seconds=0)
    timed_parts((_taking(clock, repeat(1.0)),), clock, budget, watch())
    assert seen == [3, 13]


def test_other_work_runs_before_after_and_every_so_often_between_and_costs_no_budget() -> None:
    clock = FakeClock()
    step, work = _taking(clock, repeat(0.02)), _taking(clock, chain([5.0, 6.0], repeat(7.0)))
    budget = Budget(warmup_steps=0, min_steps=7, min_seconds=0)
    timing = timed_parts((step,), clock, budget, between=work)
    assert timing.stretches == (3, 3, 1)  # a stretch ends with the step that passes 50 ms
    assert timing.between_s == pytest.approx([5, 6, 7, 7])
    assert timing.steps_s == pytest.approx([0.02] * 7)
    assert timing.wall_s == pytest.approx(0.14)


def test_without_other_work_a_sample_is_one_stretch() -> None:
    timing = _timed(repeat(1.0), Budget(warmup_steps=0, min_steps=7, min_seconds=0))
    assert (timing.stretches, timing.between_s) == ((7,), ())


def test_a_step_that_is_longer_than_a_stretch_is_one() -> None:
    clock = FakeClock()
    budget = Budget(warmup_steps=0, min_steps=10, min_seconds=0, target_rse=0.5)
    step, work = _taking(clock, repeat(1.0)), _taking(clock, repeat(0.1))
    assert timed_parts((step,), clock, budget, between=work).stretches == (1,) * 10


def test_other_work_is_repeated_for_its_share_of_a_long_step_and_averaged() -> None:
    clock = FakeClock()
    work = _taking(clock, chain([0.01], cycle([0.03, 0.05])))
    budget = Budget(warmup_steps=0, min_steps=2, min_seconds=0)
    timing = timed_parts((_taking(clock, repeat(1.2)),), clock, budget, between=work)
    assert timing.between_s == pytest.approx([0.01, 0.04, 0.04])
