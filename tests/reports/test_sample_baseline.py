"""The reviewed baseline is of the embedded zoo as it is: a change of it needs a new review."""

from pathlib import Path

import pytest

from bench.data.dataset import Dataset
from bench.measure import Row
from bench.measure.complexity import count_macs, on_meta
from bench.plan import Job, Settings
from reports.baseline_folder import load_baseline
from reports.side import Answers, Counts, Side
from zoo.entry import Entry

FOLDER = Path(__file__).parents[2] / "reports" / "baselines" / "sample"


@pytest.fixture(scope="module")
def reviewed() -> Side:
    return load_baseline(FOLDER)


def test_its_predictions_are_of_these_weights_pixels_and_photographs(
    reviewed: Side, lite_entries: tuple[Entry, ...], sample_set: Dataset
) -> None:
    found = {item.key.entry: item for item in reviewed.items if isinstance(item, Answers)}
    assert set(found) == {entry.name for entry in lite_entries}
    for entry in lite_entries:
        answers = found[entry.name]
        settings = Settings(
            memory_format=answers.key.memory_format or "contiguous",
            batch_size=answers.key.batch_size,
        )
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
        row = Row(job, "cpu", str(answers.key.device_name), lambda done, total, unit: None)
        assert answers.key == row.key("accuracy")
        assert answers.frame["image"].tolist() == list(sample_set.images)
        assert answers.frame["label"].tolist() == list(sample_set.labels)


def test_its_counts_are_what_is_counted(reviewed: Side, lite_entries: tuple[Entry, ...]) -> None:
    found = {item.key.entry: item for item in reviewed.items if isinstance(item, Counts)}
    for entry in lite_entries:
        network = on_meta(entry)
        counts = found[entry.name]
        height, width = map(int, str(counts.key.input_px).split("x"))
        assert count_macs(network, (1, 3, height, width)).macs == counts.macs
        assert sum(parameter.numel() for parameter in network.parameters()) == counts.params
