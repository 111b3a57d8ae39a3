"""A device measures one row at a time; what is not timed may share a CPU."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.executors import Placement
from bench.executors.places import choose, place_for
from bench.plan import Job, Settings
from bench.records import Figure, Shard
from zoo.entry import Entry

CORES = 8
GPUS = Placement(devices=("cuda:0", "cuda:1"))
FIGURES: dict[str, tuple[Figure, ...]] = {
    "counted": ("params",),
    "evaluated": ("top1",),
    "timed": ("params", "top1", "speed"),
    "trained": ("train",),
}


def _job(kind: str) -> Job:
    return Job(
        entry=Entry(name="a", source="timm", architecture="resnet18"),
        figures=FIGURES[kind],
        settings=Settings(),
        store="s",
        data=None,
        labels="imagenet",
        limit=None,
        retry_failed=False,
    )


def _start(kinds: Sequence[str], placement: Placement) -> list[Job]:
    """Start what may start, in the order given; return the rows that run then."""
    running: list[Job] = []
    for kind in kinds:
        if place := place_for(_job(kind), running, placement, CORES):
            running.append(place.given_to(_job(kind)))
    return running


@pytest.mark.parametrize(
    ("kinds", "placement", "expected"),
    [
        (["timed", "timed"], Placement(), [("auto", None, True)]),
        (["trained", "evaluated"], Placement(workers=4), [("auto", None, True)]),
        (["evaluated", "trained"], Placement(workers=4), [("auto", 2, False)]),
        (["evaluated", "evaluated"], Placement(), [("auto", None, True)]),
        (["counted"] * 9, Placement(), [("auto", None, False)] * CORES),
        (["evaluated"] * 5, Placement(workers=4), [("auto", 2, False)] * 4),
        (["evaluated", "timed"], Placement(workers=4), [("auto", 2, False)]),
        (["timed", "evaluated"], Placement(workers=4), [("auto", None, True)]),
        (["counted", "timed", "evaluated"], Placement(workers=4), [("auto", None, False)]),
        (["timed"] * 3, GPUS, [("cuda:0", 4, False), ("cuda:1", 4, False)]),
    ],
)
def test_rows_start_where_they_disturb_no_other(
    kinds: list[str], placement: Placement, expected: list[tuple[str, int | None, bool]]
) -> None:
    given = [(j.settings.device, j.cores, j.alone) for j in _start(kinds, placement)]
    assert given == expected


@settings(deadline=None)  # the machine may be busy
@given(
    kinds=st.lists(st.sampled_from(sorted(FIGURES)), max_size=12),
    placement=st.one_of(
        st.just(GPUS),
        st.builds(Placement, devices=st.just(("cpu",)), workers=st.integers(1, CORES)),
    ),
)
def test_no_timed_row_ever_shares_its_device(kinds: list[str], placement: Placement) -> None:
    running = _start(kinds, placement)
    assert bool(running) == bool(kinds)  # something always goes on
    for job in running:
        if job.is_timed:
            assert [other.settings.device for other in running].count(job.settings.device) == 1
    assert sum(job.cores or 0 for job in running) <= CORES


def test_rows_on_other_images_go_first_as_they_decode_nothing_twice() -> None:
    first, second = (
        _job("evaluated").model_copy(update={"shard": Shard(index=i, count=2)}) for i in (1, 2)
    )
    workers = Placement(workers=3)
    chosen = choose([first, second], [first], workers, CORES)
    assert chosen is not None
    assert chosen[0] == second
    chosen = choose([first, second], [first, second], workers, CORES)
    assert chosen is not None
    assert chosen[0] == first  # rather than an idle core
    assert choose([], [first], workers, CORES) is None


def test_a_device_that_is_free_again_is_given_again() -> None:
    first, second = _start(["timed", "timed"], GPUS)
    place = place_for(_job("timed"), [second], GPUS, CORES)
    assert place is not None
    assert place.device == first.settings.device
