"""A request is one image and a wait, whatever batch the row's throughput has."""

import pytest

from bench.measure import Row, latency
from bench.plan import Job, Settings
from bench.records import Latency
from tests.bench.measure.test_batch import LENET


def _row(batch: object = None) -> Row:
    job = Job(
        entry=LENET,
        figures=("latency", "speed"),
        settings=Settings.model_validate({"batch_size": batch}),
        store="unused",
        data=None,
        labels="imagenet",
        limit=None,
        retry_failed=False,
    )
    return Row(job, "cpu", "a processor", lambda done, total, unit: None)


@pytest.mark.parametrize(
    ("batch", "images", "key"), [(None, 1, None), ("auto", 1, None), (8, 8, 8)]
)
def test_a_request_has_one_image_unless_a_batch_was_asked_for(
    batch: object, images: int, key: int | None
) -> None:
    row = _row(batch)
    assert row.request_size == images
    assert row.key("latency").batch_size == key


def test_p99_has_a_hundred_requests_to_stand_on() -> None:
    evidence = latency.run(_row()).evidence
    assert isinstance(evidence, Latency)
    assert len(evidence.steps_s) >= 100
    assert evidence.batch_size == 1
    assert evidence.clock == "perf_counter"
    assert evidence.reference is None
    assert evidence.compilation is None


def test_it_is_timed_alone_and_before_an_accuracy() -> None:
    job = _row().job.model_copy(update={"figures": ("latency", "top1", "params", "speed", "train")})
    assert job.measures == ("complexity", "throughput", "latency", "training", "accuracy")
    assert _row().job.model_copy(update={"figures": ("latency",)}).is_timed
