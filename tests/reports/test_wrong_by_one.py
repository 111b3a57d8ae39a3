"""A preprocessing that is wrong by one pixel, really run on photographs, does not pass the gate.

The photographs are cut into small pieces first: whole ones are easy, and few of 20 would change.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import preprocess as pixels
from bench.data.dataset import Dataset
from bench.data.imagenet import wnids
from bench.measure import Row, accuracy
from bench.measure.evaluation import FORWARD_BATCH
from bench.plan import Job, Settings
from bench.records import Record
from bench.store import Store
from reports.baseline_folder import side_of
from reports.compare import compare
from zoo.entry import Entry

PIECES = 2


@pytest.fixture
def pieces(sample_set: Dataset, tmp_path: Path) -> Path:
    """Two pieces of each photograph, a quarter to a half as wide, in folders of its class."""
    random = np.random.default_rng(0)
    for name, label in zip(sample_set.images, sample_set.labels, strict=True):
        folder = tmp_path / "pieces" / wnids()[label]
        folder.mkdir(parents=True, exist_ok=True)
        with Image.open(sample_set.root / name) as image:
            for number in range(PIECES):
                share = random.uniform(0.25, 0.5)
                width, height = int(image.width * share), int(image.height * share)
                left = random.integers(0, image.width - width)
                top = random.integers(0, image.height - height)
                piece = image.crop((left, top, left + width, top + height))
                piece.save(folder / f"{Path(name).stem}-{number}.png")
    return tmp_path / "pieces"


def _measured(entry: Entry, data: Path, store: Path) -> str:
    job = Job(
        entry=entry,
        figures=("top1",),
        settings=Settings(batch_size=4),
        store=str(store),
        data=str(data),
        labels="imagenet",
        limit=None,
        retry_failed=False,
        cache_bytes=0,
    )
    row = Row(job, "cpu", "a processor", lambda done, total, unit: None)
    result = accuracy.run(row)
    record = Record(
        measure="accuracy",
        key=row.key("accuracy"),
        status="measured",
        evidence=result.evidence,
        started_at="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        conditions={},
    )
    Store(str(store)).append(record, result.predictions)
    return str(store)


def test_a_crop_that_is_off_by_one_is_caught_with_its_images(
    lite0: Entry, pieces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORWARD_BATCH, "cpu", 4)  # enough batches to need no pass to time
    base = side_of(_measured(lite0, pieces, tmp_path / "base"))
    right = pixels._center_crop

    def wrong(image: Image.Image, preprocess: pixels.Preprocess) -> Image.Image:
        return right(
            image.transform(image.size, Image.Transform.AFFINE, (1, 0, 1, 0, 1, 1)), preprocess
        )

    monkeypatch.setattr(pixels, "_center_crop", wrong)
    head = side_of(_measured(lite0, pieces, tmp_path / "head"))

    found = compare(base, head)
    top1 = found.findings[found.findings["figure"] == "top1"].iloc[0]
    assert top1["images"] == 20 * PIECES
    assert top1["verdict"] in ("changed", "worse")
    assert found.fails
    assert set(found.flips["image"]) <= {
        p.relative_to(pieces).as_posix() for p in pieces.rglob("*.png")
    }
    assert len(found.flips) == top1["flipped"] >= 3
