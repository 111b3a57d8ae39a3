"""A plan has a row for each entry and batch, and measures each thing once."""

import pytest

from bench.plan import (
    Job,
    Settings,
    default_batch_size,
    images_of,
    plan,
    resolve_memory_format,
    share_pixels,
)
from bench.records import Figure, Precision, Shard
from zoo.entry import Entry, Preprocess


def test_each_entry_and_batch_is_a_row(lite_entries: tuple[Entry, ...]) -> None:
    jobs = plan(
        lite_entries,
        figures=("top1", "params", "gmacs", "memory", "speed"),
        settings=Settings(),
        batches=[1, 8],
        store="s",
        data=None,
        labels="imagenet",
        limit=None,
        retry_failed=False,
    )
    rows = [(job.entry.name, job.settings.batch_size) for job in jobs]
    assert rows == [(entry.name, batch) for entry in lite_entries for batch in (1, 8)]
    # Memory is read before the accuracy's lanes have used any.
    assert jobs[0].measures == ("complexity", "throughput", "accuracy")


def _jobs(entries: tuple[Entry, ...], figures: tuple[str, ...] = ("top1",)) -> list[Job]:
    return plan(
        entries,
        figures=figures,  # type: ignore[arg-type]
        settings=Settings(),
        batches=[None],
        store="s",
        data="d",
        labels="imagenet",
        limit=None,
        retry_failed=False,
    )


def _preprocess(resize_px: int, mean: float = 0.5) -> Preprocess:
    return Preprocess(
        resize_px=(resize_px, resize_px),
        crop_px=(224, 224),
        interpolation="bicubic",
        mean=(mean,) * 3,
        std=(0.5,) * 3,
    )


def test_jobs_with_the_same_pixels_stand_together_and_know_what_is_to_come(
    lite0: Entry,
) -> None:
    sizes = {"a": (256, 0.5), "b": (240, 0.5), "c": (256, 0.4), "d": (288, 0.5)}
    entries = tuple(lite0.model_copy(update={"name": name}) for name in sizes)
    jobs = share_pixels(_jobs(entries), {name: _preprocess(*size) for name, size in sizes.items()})
    assert [job.entry.name for job in jobs] == ["a", "c", "b", "d"]
    later = [sorted(other.resize_px[0] for other in job.also) for job in jobs]
    assert later == [[240, 288], [240, 288], [288], []]


def test_pixels_are_shared_by_jobs_of_the_same_images_only(lite0: Entry) -> None:
    entries = tuple(lite0.model_copy(update={"name": name}) for name in "ab")
    here = _jobs(entries[:1])
    there = [job.model_copy(update={"data": "elsewhere"}) for job in _jobs(entries[1:])]
    preprocess = {"a": _preprocess(256), "b": _preprocess(240)}
    assert [job.also for job in share_pixels([*here, *there], preprocess)] == [(), ()]


def test_rows_without_accuracy_share_no_pixels(lite0: Entry) -> None:
    sizes = {"a": 256, "b": 240, "c": 256}
    entries = tuple(lite0.model_copy(update={"name": name}) for name in sizes)
    jobs = _jobs(entries, ("params", "speed"))
    assert share_pixels(jobs, {name: _preprocess(px) for name, px in sizes.items()}) == jobs


def test_rows_without_accuracy_or_preprocessing_stay_as_they_are(lite0: Entry) -> None:
    other = lite0.model_copy(update={"name": "other"})
    jobs = [*_jobs((lite0,), ("params",)), *_jobs((other,))]
    assert share_pixels(jobs, {lite0.name: _preprocess(256), "other": None}) == jobs


@pytest.mark.parametrize(
    ("device", "precision", "expected"),
    [
        ("cpu", "fp32", "channels_last"),
        ("cpu", "bf16", "channels_last"),
        ("cuda:0", "fp32", "contiguous"),
        ("cuda", "tf32", "channels_last"),
        ("cuda", "amp", "channels_last"),
        ("cuda", "fp16", "channels_last"),
        ("cuda", "bf16", "channels_last"),
    ],
)
def test_auto_is_resolved_by_device_and_precision(
    device: str, precision: Precision, expected: str
) -> None:
    assert resolve_memory_format(Settings(precision=precision), device) == expected
    stated = Settings(precision=precision, memory_format="contiguous")
    assert resolve_memory_format(stated, device) == "contiguous"


ALL: tuple[Figure, ...] = ("params", "gmacs", "crosscheck", "top1", "speed", "memory", "train")


@pytest.mark.parametrize(
    ("figures", "measures", "is_timed", "only_counts"),
    [
        (("params",), ("complexity",), False, True),
        (("gmacs", "crosscheck"), ("complexity",), False, True),
        (("top1",), ("accuracy",), False, False),
        (("params", "top1"), ("complexity", "accuracy"), False, False),
        (("speed",), ("throughput",), True, False),
        (("memory",), ("throughput",), True, False),
        (("train",), ("training",), True, False),
        (("params", "train"), ("complexity", "training"), True, False),
        (ALL, ("complexity", "throughput", "training", "accuracy"), True, False),
    ],
)
def test_what_is_timed_has_its_device_alone(
    figures: tuple[Figure, ...],
    measures: tuple[str, ...],
    is_timed: bool,
    only_counts: bool,
    lite0: Entry,
) -> None:
    (job,) = _jobs((lite0,), figures)
    assert (job.measures, job.is_timed, job.only_counts) == (measures, is_timed, only_counts)


@pytest.mark.parametrize(
    ("figures", "shards", "apart", "expected"),
    [
        (("params", "speed"), 3, True, [(("params", "speed"), None)]),
        (("params", "top1", "speed"), 1, False, [(("params", "top1", "speed"), None)]),
        (
            ("params", "top1", "speed", "train"),
            1,
            True,
            [(("params", "top1"), None), (("speed", "train"), None)],
        ),
        (("top1",), 1, True, [(("top1",), None)]),
        (
            ("params", "top1"),
            3,
            False,
            [(("params", "top1"), (1, 3)), (("top1",), (2, 3)), (("top1",), (3, 3))],
        ),
        (
            ("top1", "memory"),
            2,
            False,
            [(("top1",), (1, 2)), (("top1",), (2, 2)), (("memory",), None)],
        ),
    ],
)
def test_a_row_is_cut_into_shards_and_what_is_timed(
    figures: tuple[Figure, ...],
    shards: int,
    apart: bool,
    expected: list[tuple[tuple[Figure, ...], tuple[int, int] | None]],
    lite0: Entry,
) -> None:
    jobs = plan(
        (lite0,),
        figures=figures,
        settings=Settings(precision="bf16"),
        batches=[4],
        store="s",
        data="d",
        labels="folder",
        limit=7,
        retry_failed=True,
        cache_bytes=5,
        target_rse=0.25,
        shards=shards,
        apart=apart,
    )
    parts = [
        (job.figures, None if job.shard is None else (job.shard.index, job.shard.count))
        for job in jobs
    ]
    assert parts == expected
    for job in jobs:
        assert job.model_copy(update={"figures": figures, "shard": None}) == Job(
            entry=lite0,
            figures=figures,
            settings=Settings(precision="bf16", batch_size=4),
            store="s",
            data="d",
            labels="folder",
            limit=7,
            retry_failed=True,
            cache_bytes=5,
            target_rse=0.25,
        )


def test_a_job_has_the_machine_alone_and_all_its_cores_unless_its_place_says_otherwise(
    lite0: Entry,
) -> None:
    (job,) = _jobs((lite0,))
    assert (job.cores, job.alone, job.shard, job.also) == (None, True, None, ())
    assert (job.cache_bytes, job.target_rse) == (None, None)


@pytest.mark.parametrize(("device", "size"), [("cpu", 32), ("cuda", 256), ("cuda:1", 256)])
def test_the_default_batch_is_the_devices(device: str, size: int) -> None:
    assert default_batch_size(device) == size


@pytest.mark.parametrize(
    "change",
    [
        {"data": "other"},
        {"labels": "folder"},
        {"limit": 3},
        {"shard": Shard(index=1, count=2)},
        {"settings": Settings(decoder="torchvision")},
    ],
)
def test_images_are_others_by_data_labels_limit_decoder_or_shard(
    change: dict[str, object], lite0: Entry
) -> None:
    (job,) = _jobs((lite0,))
    assert images_of(job.model_copy(update=change)) != images_of(job)
    same = job.model_copy(update={"store": "t", "settings": Settings(batch_size=3)})
    assert images_of(same) == images_of(job)
