"""What is read out of logits, counted and written, in values worked out by hand."""

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.data.dataset import Dataset
from bench.measure.scoring import Predictions, evidence, parquet, read_out
from bench.records import BadImage, EndToEnd, Stages
from zoo.errors import MeasureError

CLASSES = 8


def _dataset(*labels: int, classes: int = CLASSES) -> Dataset:
    images = tuple(f"{index}.jpg" for index in range(len(labels)))
    return Dataset("d", "k", Path(), images, labels, (1,) * len(labels), classes)


def _predictions(*tops: tuple[int, ...]) -> Predictions:
    predictions = Predictions.empty(len(tops), len(tops[0]))
    predictions.top[:] = tops
    predictions.readable[:] = True
    return predictions


def _logits(*probabilities: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(probabilities).log()


def _read_out(logits: torch.Tensor, dataset: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    images = len(dataset)
    return read_out(logits, len(logits), range(images), np.arange(images), dataset)


@pytest.mark.parametrize("rank", range(1, 7))
def test_a_label_counts_for_top_5_up_to_the_fifth_rank(rank: int) -> None:
    order = (0, 1, 2, 3, 4, 5)
    found = evidence(_dataset(order[rank - 1]), _predictions(order[:5]), None, 16)
    assert found.correct_top1 == (rank == 1)
    assert found.correct_top5 == (rank <= 5)


def test_counts_are_over_all_images() -> None:
    tops = ((0, 1, 2, 3, 4), (1, 0, 2, 3, 4), (5, 4, 3, 2, 1), (7, 6, 5, 4, 3))
    stages = Stages(read_decode_s=1, resize_s=1, copy_s=1, model_s=1)
    timed = EndToEnd(images=4, seconds=2, lanes=2, stages=stages)
    found = evidence(_dataset(0, 0, 0, 7), _predictions(*tops), timed, 16)
    assert (found.correct_top1, found.correct_top5, found.end_to_end) == (2, 3, timed)
    assert (found.images, found.images_in_dataset, found.forward_batch) == (4, 4, 16)
    assert (found.dataset, found.dataset_kind) == ("d", "k")


def test_fewer_than_five_classes_have_no_top_5() -> None:
    found = evidence(_dataset(0, classes=4), _predictions((0, 1, 2, 3)), None, 16)
    assert found.correct_top1 == 1
    assert found.correct_top5 is None


def test_any_of_several_right_labels_counts() -> None:
    dataset = replace(_dataset(0, 0, 0), right_labels=((0, 5), (0, 1, 7), (6, 7)))
    tops = ((5, 1, 2, 3, 4), (2, 3, 4, 6, 7), (0, 1, 2, 3, 4))
    found = evidence(dataset, _predictions(*tops), None, 16)
    assert (found.correct_top1, found.correct_top5) == (1, 2)


def test_an_unreadable_image_is_named_and_not_counted() -> None:
    predictions = Predictions.empty(3, 5)
    predictions.top[1] = (1, 0, 2, 3, 4)
    predictions.readable[1] = True
    predictions.bad += [(2, "late"), (0, "cut")]
    found = evidence(replace(_dataset(0, 1, 2), note="some"), predictions, None, 16)
    assert (found.images, found.images_in_dataset) == (1, 3)
    assert (found.correct_top1, found.correct_top5) == (1, 1)
    named = (BadImage(image="0.jpg", reason="cut"), BadImage(image="2.jpg", reason="late"))
    assert found.bad_images == named
    assert found.dataset == "d (some)"
    assert found.content_sha256 == hashlib.sha256(bytes(3 * 32)).hexdigest()


def test_the_most_probable_classes_come_first_with_their_probabilities() -> None:
    logits = _logits((0.3, 0.25, 0.2, 0.1, 0.08, 0.04, 0.02, 0.01))
    top, prob, label_prob = _read_out(logits, _dataset(2))
    assert top.tolist() == [[0, 1, 2, 3, 4]]
    assert top.dtype == np.int32
    assert prob == pytest.approx([0.3])
    assert label_prob == pytest.approx([0.2])


def test_a_mask_is_what_predictions_and_probabilities_are_among() -> None:
    dataset = replace(_dataset(6), mask=(1, 4, 6))
    top, prob, label_prob = _read_out(
        _logits((0.5, 0.1, 0.05, 0.05, 0.06, 0.1, 0.04, 0.1)), dataset
    )
    assert top.tolist() == [[1, 4, 6]]
    assert prob == pytest.approx([0.5])
    assert label_prob == pytest.approx([0.2])


def test_only_places_with_a_readable_image_are_read_out() -> None:
    dataset = _dataset(0, 1, 2, 3)
    logits = torch.full((4, CLASSES), torch.nan)
    logits[1], logits[2] = torch.eye(CLASSES)[6], torch.eye(CLASSES)[7]
    # The batch has images 3, 1 and 2 of the dataset, the first of which is damaged, and a blank.
    top, _, label_prob = read_out(logits, 4, [3, 1, 2], np.array([1, 2]), dataset)
    assert top[:, 0].tolist() == [6, 7]
    assert label_prob == pytest.approx(1 / (np.e + CLASSES - 1))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_an_infinite_logit_names_the_image(value: float) -> None:
    logits = torch.zeros(4, CLASSES)
    logits[2, 3] = value
    expected = r"NaN or infinity in the logits of 2\.jpg \(1 of 4 images of its batch\)"
    with pytest.raises(MeasureError, match=expected):
        _read_out(logits, _dataset(0, 1, 2, 3))


@pytest.mark.parametrize(
    ("logits", "shape"),
    [
        (torch.zeros(1, 7), r"\(1, 7\)"),
        (torch.zeros(2, 8), r"\(2, 8\)"),
        (torch.zeros(8), r"\(8,\)"),
        ([torch.zeros(1, 8)], "list"),
    ],
)
def test_outputs_that_do_not_fit_the_labels_say_what_they_are(logits: object, shape: str) -> None:
    expected = f"output is {shape}, and the label space of 'd' has 8 classes"
    with pytest.raises(MeasureError, match=expected):
        read_out(logits, 1, [0], np.array([0]), _dataset(0))  # type: ignore[arg-type]


def test_the_file_has_the_readable_images() -> None:
    predictions = _predictions((1, 2, 3, 4, 5), (2, 1, 0, 3, 4), (7, 6, 5, 4, 3))
    predictions.readable[1] = False
    predictions.prob[:] = 0.5, 0.25, 0.75
    predictions.label_prob[:] = 0.5, 0.125, 0.0625
    dataset = replace(_dataset(1, 2, 3), right_labels=((1,), (2,), (3, 7)))
    table = pq.read_table(io.BytesIO(parquet("entry", dataset, predictions)))
    assert table.to_pydict() == {
        "image": ["0.jpg", "2.jpg"],
        "label": [1, 3],
        "pred": [1, 7],
        "top5": [[1, 2, 3, 4, 5], [7, 6, 5, 4, 3]],
        "prob": [0.5, 0.75],
        "label_prob": [0.5, 0.0625],
        "labels": [[1], [3, 7]],
    }
    types = {field.name: str(field.type) for field in table.schema}
    assert types == {
        "image": "string",
        "label": "int32",
        "pred": "int32",
        "top5": "list<element: int32>",
        "prob": "float",
        "label_prob": "float",
        "labels": "list<element: int32>",
    }
    assert table.schema.metadata == {
        b"entry": b"entry",
        b"dataset_digest": dataset.digest.encode(),
    }


def test_the_file_of_a_shard_says_what_the_whole_has_to_be() -> None:
    predictions = _predictions(*[(1, 2, 3, 4, 5)] * 3)
    predictions.sha256[:] = np.arange(3)[:, None]
    table = pq.read_table(io.BytesIO(parquet("e", _dataset(1, 2, 3), predictions, range(1, 3))))
    metadata = table.schema.metadata
    assert metadata[b"images_sha256"].decode() == "01" * 32 + "02" * 32
    ids = hashlib.sha256(b"0.jpg\n1.jpg\n2.jpg").hexdigest()
    assert metadata[b"dataset_ids_sha256"].decode() == ids
    assert metadata[b"entry"] == b"e"
    assert metadata[b"dataset_digest"].decode() == _dataset(1, 2, 3).digest
    assert "labels" not in table.column_names


def test_what_is_not_read_has_no_prediction() -> None:
    predictions = Predictions.empty(2, 5)
    assert predictions.top.tolist() == [[-1] * 5] * 2
    assert predictions.top.dtype == np.int32
    assert (predictions.prob.dtype, predictions.label_prob.dtype) == (np.float32, np.float32)
    assert (predictions.readable.dtype, predictions.sha256.dtype) == (np.bool_, np.uint8)
    assert np.isnan(predictions.prob).all()
    assert np.isnan(predictions.label_prob).all()
    assert not predictions.readable.any()
    assert predictions.sha256.shape == (2, 32)
    assert not predictions.sha256.any()
    assert predictions.bad == []


@given(st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_counts_equal_those_of_a_sort(labels: list[int], seed: int) -> None:
    logits = torch.randn(len(labels), CLASSES, generator=torch.Generator().manual_seed(seed))
    dataset = _dataset(*labels)
    top, prob, label_prob = _read_out(logits, dataset)
    found = evidence(dataset, _predictions(*map(tuple, top)), None, 16)
    ranks = [
        sorted(row.tolist(), reverse=True).index(row[label])
        for row, label in zip(logits, labels, strict=True)
    ]
    assert found.correct_top1 == sum(rank == 0 for rank in ranks)
    assert found.correct_top5 == sum(rank < 5 for rank in ranks)
    assert (label_prob <= prob).all()
