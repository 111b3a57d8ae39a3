"""A row's key changes with everything that a measurement depends on: no setting is forgotten."""

from collections.abc import Iterator
from dataclasses import replace
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest

from bench.data.dataset import Dataset
from bench.measure import Row
from bench.plan import Job, Settings
from bench.records import MEASURE_OF, Measure, RowKey, Shard
from zoo.entry import Entry

MEASURES: tuple[Measure, ...] = tuple(dict.fromkeys(MEASURE_OF.values()))
# Of settings that are any text or number; of the others the type says what they can be.
OTHER_VALUES: dict[str, list[object]] = {
    "batch_size": [1, 2, 3],
    "decoder": ["pillow", "torchvision"],
}


def _choices(annotation: object) -> Iterator[Any]:
    """Yield the words that a type of literals allows."""
    if get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _choices(part)
    elif get_origin(annotation) is Literal:
        yield from get_args(annotation)


def _values(name: str) -> list[Any]:
    found = OTHER_VALUES.get(name)
    if found is None:
        # What ``auto`` stands for is another value, and is in the key in its place.
        choices = _choices(Settings.model_fields[name].annotation)
        found = [value for value in choices if value != "auto"]
    assert len(found) > 1, f"settings: give two values of {name}"
    return found


def _key(entry: Entry, measure: Measure, settings: Settings, device: str = "cpu") -> RowKey:
    job = Job(
        entry=entry,
        figures=("top1",),
        settings=settings,
        store="unused",
        data="sample",
        labels="imagenet",
        limit=None,
        retry_failed=False,
    )
    return Row(job, device, f"the {device}", lambda done, total, unit: None).key(measure)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name != "device"])
def test_any_setting_is_in_the_key(name: str, measure: Measure, lite0: Entry) -> None:
    """But of a count, which depends on none, and the decoder, which only images go through."""
    known = Settings(batch_size=1)
    keys = {_key(lite0, measure, known.model_copy(update={name: v})) for v in _values(name)}
    depends = measure != "complexity" and (name != "decoder" or measure == "accuracy")
    assert len(keys) == (len(_values(name)) if depends else 1)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_device_is_in_the_key(measure: Measure, lite0: Entry) -> None:
    settings = Settings(batch_size=1, memory_format="contiguous")
    keys = {_key(lite0, measure, settings, device) for device in ("cpu", "cuda:0")}
    assert len(keys) == (1 if measure == "complexity" else 2)


def test_images_and_preprocessing_are_in_the_key(lite0: Entry, sample_set: Dataset) -> None:
    row = Row(
        Job(
            entry=lite0,
            figures=("top1",),
            settings=Settings(batch_size=1),
            store="unused",
            data="sample",
            labels="imagenet",
            limit=None,
            retry_failed=False,
        ),
        "cpu",
        "a processor",
        lambda done, total, unit: None,
    )
    keys = {row.key("accuracy")}
    for part in range(1, 3):
        shard = Shard(index=part, count=2)
        keys.add(replace(row, job=row.job.model_copy(update={"shard": shard})).key("accuracy"))
    keys.add(replace(row, job=row.job.model_copy(update={"limit": 5})).key("accuracy"))
    other = lite0.model_copy(update={"name": "other"})
    keys.add(replace(row, job=row.job.model_copy(update={"entry": other})).key("accuracy"))
    assert len(keys) == 5
