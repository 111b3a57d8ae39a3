"""A plan has a row for each entry and batch, and measures each thing once."""

import pytest

from bench.plan import Job, Settings, plan, resolve_memory_format, share_pixels
from bench.records import Precision
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
        ("cuda", "tf32", "contiguous"),
        ("cuda", "amp", "channels_last"),
        ("cuda", "fp16", "channels_last"),
    ],
)
def test_auto_is_resolved_by_device_and_precision(
    device: str, precision: Precision, expected: str
) -> None:
    assert resolve_memory_format(Settings(precision=precision), device) == expected
    stated = Settings(precision=precision, memory_format="contiguous")
    assert resolve_memory_format(stated, device) == "contiguous"
