"""Predictions are those of timm's own transforms, Pillow and fp32; nothing is lost or made up."""

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import timm.data
import torch
from PIL import Image

from bench.data.dataset import Dataset
from bench.measure import Row, accuracy
from bench.plan import Job, Settings
from bench.records import Accuracy
from zoo import build
from zoo.entry import Entry
from zoo.errors import MeasureError


def _row(
    entry: Entry, data: str = "sample", batch: int = 8, alone: bool = False, **settings: object
) -> Row:
    """Return a row; only one that is alone is timed end to end, which takes three passes more."""
    job = Job(
        entry=entry,
        figures=("top1",),
        settings=Settings.model_validate({"batch_size": batch, **settings}),
        store="unused",
        data=data,
        labels="imagenet",
        limit=None,
        retry_failed=False,
        alone=alone,
    )
    return Row(job, "cpu", "a processor", lambda done, total, unit: None)


def _run(row: Row) -> tuple[Accuracy, dict[str, list[object]], dict[bytes, bytes]]:
    result = accuracy.run(row)
    assert isinstance(result.evidence, Accuracy)
    assert result.predictions is not None
    table = pq.read_table(io.BytesIO(result.predictions))
    return result.evidence, table.to_pydict(), table.schema.metadata


@pytest.mark.parametrize("place", [0, 1, 2])
def test_predictions_equal_timms(
    lite_entries: tuple[Entry, ...], sample_set: Dataset, place: int
) -> None:
    entry = lite_entries[place]
    evidence, table, metadata = _run(_row(entry))

    network = build.trained_network(entry, build.find_weights(entry))
    preprocess = build.preprocess(entry)
    transform = timm.data.create_transform(
        input_size=preprocess.input_shape,
        interpolation="bicubic",
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        crop_pct=preprocess.crop_px[0] / preprocess.resize_px[0],
    )
    images = [Image.open(sample_set.root / name).convert("RGB") for name in sample_set.images]
    with torch.inference_mode():
        logits = torch.cat([network(transform(image)[None]) for image in images])
    expected = logits.topk(5).indices.tolist()

    assert table["image"] == list(sample_set.images)
    assert table["label"] == list(sample_set.labels)
    assert table["pred"] == [top[0] for top in expected]
    assert table["top5"] == expected
    probabilities = logits.softmax(1)
    assert table["prob"] == pytest.approx(probabilities.max(1).values.tolist(), abs=1e-4)
    own = probabilities[range(20), list(sample_set.labels)].tolist()
    assert table["label_prob"] == pytest.approx(own, abs=1e-4)
    assert metadata[b"entry"] == entry.name.encode()
    assert evidence.correct_top1 == 18
    assert evidence.images == evidence.images_in_dataset == 20


def test_counts_are_those_of_the_predictions(lite0: Entry) -> None:
    evidence, table, _ = _run(_row(lite0))
    labels, tops = table["label"], table["top5"]
    assert isinstance(labels, list)
    right5 = sum(label in top for label, top in zip(labels, tops, strict=True))  # type: ignore[operator]
    assert evidence.correct_top5 == right5
    assert evidence.correct_top1 == sum(np.equal(labels, table["pred"]))


@pytest.mark.parametrize("batch", [1, 7, 32])
def test_the_batch_size_changes_no_prediction(lite0: Entry, batch: int) -> None:
    assert _run(_row(lite0, batch=batch))[1]["pred"] == _run(_row(lite0))[1]["pred"]


def test_plain_efficientnet_lite_is_another_network(lite0: Entry) -> None:
    """It takes the same tensors with strict=True; only its padding tells, so the answers must."""
    wrong = lite0.model_copy(update={"architecture": "efficientnet_lite0"})
    assert _run(_row(wrong))[1]["prob"] != pytest.approx(_run(_row(lite0))[1]["prob"], abs=1e-3)


def test_damaged_images_are_named_and_the_row_is_partial(lite0: Entry, class_folders: Path) -> None:
    folder = next(class_folders.iterdir())
    good = next(folder.iterdir())
    (folder / "cut.jpg").write_bytes(good.read_bytes()[:5000])
    (folder / "notes.txt").write_text("hello")
    evidence, table, _ = _run(_row(lite0, str(class_folders)))
    assert evidence.images_in_dataset == 22
    assert evidence.images == 20 == len(table["image"])
    assert [item.image.split("/")[1] for item in evidence.bad_images] == ["cut.jpg", "notes.txt"]
    assert "truncated" in evidence.bad_images[0].reason
    assert evidence.correct_top1 == 18


@pytest.mark.parametrize("decoder", ["pillow", "torchvision"])
def test_every_bad_image_is_named_and_the_rest_goes_on(
    lite0: Entry, class_folders: Path, decoder: str
) -> None:
    folder = min(class_folders.iterdir())
    picture = Image.open(next(folder.iterdir()))
    os.mkfifo(folder / "bad_fifo.jpg")
    (folder / "bad_device.jpg").symlink_to("/dev/zero")
    Image.new("RGB", (1, 60_000)).save(folder / "bad_strip.png")
    (folder / "bad_postscript.JPEG").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\nshowpage\n")
    picture.save(folder / "good_animation.gif", save_all=True, append_images=[picture.rotate(90)])
    deep = np.asarray(picture.convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "odd_deep.png")
    evidence, table, _ = _run(_row(lite0, str(class_folders), decoder=decoder))
    assert evidence.images_in_dataset == 26
    assert evidence.images == 22 == len(table["image"])
    names = [item.image.split("/")[1] for item in evidence.bad_images]
    assert names == ["bad_device.jpg", "bad_fifo.jpg", "bad_postscript.JPEG", "bad_strip.png"]
    assert [item.image.split("/")[1] for item in evidence.odd_images] == ["odd_deep.png"]
    assert "more than 8 bits" in evidence.odd_images[0].reason


def test_no_readable_image_is_no_accuracy(lite0: Entry, tmp_path: Path) -> None:
    (tmp_path / "n01440764").mkdir()
    (tmp_path / "n01440764" / "a.JPEG").write_text("no image")
    with pytest.raises(MeasureError, match="no image could be read"):
        accuracy.run(_row(lite0, str(tmp_path)))


def test_nan_logits_fail_the_row_and_name_an_image(lite0: Entry, tmp_path: Path) -> None:
    network = build.trained_network(lite0, build.find_weights(lite0))
    network.get_classifier().bias.data[0] = float("nan")
    file = tmp_path / "nan.pth"
    torch.save(network.state_dict(), file)
    assert lite0.weights is not None
    weights = lite0.weights.model_copy(
        update={"package": None, "file": file, "sha256": None, "key_map": None}
    )
    entry = lite0.model_copy(update={"source": "checkpoint", "weights": weights})
    with pytest.raises(MeasureError, match=r"NaN or infinity in the logits of imagenet_\d+"):
        accuracy.run(_row(entry))


def test_classes_that_do_not_fit_the_labels_fail_the_row(lite0: Entry, tmp_path: Path) -> None:
    for name in ("ant", "zebra"):
        (tmp_path / name).mkdir()
        shutil.copy(build.find_weights(lite0).path, tmp_path / name / "a.jpg")
    row = _row(lite0, str(tmp_path))
    row = Row(row.job.model_copy(update={"labels": "folder"}), "cpu", "x", row.progress)
    with pytest.raises(MeasureError, match="has 2 classes: num_classes does not fit the labels"):
        accuracy.run(row)


def test_the_split_adds_up_to_the_lanes_time(lite0: Entry) -> None:
    evidence, _, _ = _run(_row(lite0, batch=4, alone=True))
    timed = evidence.end_to_end
    assert timed is not None
    stages = sum(timed.stages.model_dump(exclude_none=True).values())
    assert 0.5 * timed.seconds < stages <= timed.lanes * timed.seconds
    assert min(timed.stages.model_dump(exclude_none=True).values()) > 0


@pytest.mark.parametrize("precision", ["bf16", "amp"])
def test_other_precisions_run_and_barely_move_probabilities(lite0: Entry, precision: str) -> None:
    reduced = _run(_row(lite0, precision=precision))[1]
    full = _run(_row(lite0))[1]
    assert reduced["prob"] == pytest.approx(full["prob"], abs=0.15)
    assert reduced["prob"] != full["prob"]


def test_channels_last_changes_no_prediction(lite0: Entry) -> None:
    other = _run(_row(lite0, memory_format="channels_last"))[1]
    assert other["pred"] == _run(_row(lite0))[1]["pred"]
