"""A permuted order of labels is told from a bad model, from mixed labels and from hard images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.order import judge, known_orders, pick

RNG = np.random.default_rng(0)


def _observed(
    classes: int, images: int, accuracy: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """True classes and a model's answers; wrong answers are spread over all classes."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.sort(rng.permutation(1000)[:classes]), images)
    wrong = rng.integers(0, 1000, len(truth))
    return truth, np.where(rng.random(len(truth)) < accuracy, truth, wrong)


def _verdict(labels: np.ndarray, seen: np.ndarray, sure: float = 0.7) -> tuple[str, str]:
    found = judge(labels.tolist(), seen.tolist(), [sure] * len(seen))
    assert (found.mend is None) == (found.verdict == "right")
    return found.verdict, found.text


@pytest.mark.parametrize(("classes", "images"), [(60, 5), (300, 1), (20, 1)])
@pytest.mark.parametrize("accuracy", [0.9, 0.7, 0.5])
def test_a_right_order_is_right(classes: int, images: int, accuracy: float) -> None:
    assert _verdict(*_observed(classes, images, accuracy))[0] == "right"


def test_hard_images_are_no_permutation() -> None:
    verdict, text = _verdict(*_observed(60, 5, 0.06))
    assert verdict == "right"
    assert "far more than by chance" in text


@pytest.mark.parametrize(("classes", "images"), [(60, 5), (300, 1), (20, 1)])
@pytest.mark.parametrize("order", known_orders(), ids=lambda order: order.name)
def test_known_orders_are_named(order: object, classes: int, images: int) -> None:
    true_class = order.true_class
    usable = np.flatnonzero((true_class >= 0) & (true_class != np.arange(1000)))
    labels = np.repeat(np.sort(RNG.permutation(usable)[:classes]), images)
    seen = np.where(RNG.random(len(labels)) < 0.8, true_class[labels], 0)
    verdict, text = _verdict(labels, seen)
    assert verdict == "permuted"
    assert order.name in text


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_any_permutation_is_seen(seed: int) -> None:
    permutation = np.random.default_rng(seed).permutation(1000)
    truth, seen = _observed(60, 5, 0.8, seed)
    verdict, text = _verdict(permutation[truth], seen)
    assert verdict == "permuted"
    assert "consistently seen as another" in text
    truth, seen = _observed(300, 1, 0.8, seed)
    verdict, text = _verdict(permutation[truth], seen)
    assert verdict == "permuted"
    assert "in none that is known" in text


def test_a_permuted_part_is_seen() -> None:
    truth, seen = _observed(60, 5, 0.95)
    part = truth.copy()
    swapped = np.unique(truth)[:12]
    for label, other in zip(swapped, np.roll(swapped, 1), strict=True):
        part[truth == label] = other
    verdict, text = _verdict(part, seen)
    assert verdict == "permuted"
    assert "12 of 60 classes are consistently seen as another" in text


def test_labels_mixed_among_images_are_no_order() -> None:
    truth, seen = _observed(60, 5, 0.9)
    verdict, text = _verdict(np.random.default_rng(1).permutation(truth), seen)
    assert verdict == "permuted"
    assert "mixed among the images" in text


def test_a_bad_model_is_told_from_a_permutation() -> None:
    truth, _ = _observed(60, 5, 1)
    guesses = np.random.default_rng(1).integers(0, 1000, len(truth))
    assert _verdict(truth, guesses, sure=0.01)[0] == "unclear"
    # One that always says the same is no permutation either, however sure it is.
    verdict, text = _verdict(truth, np.full(len(truth), 7), sure=0.9)
    assert verdict == "unclear"
    assert "a bad model" in text


def test_images_are_picked_from_classes_with_several() -> None:
    labels = [label for label in range(100) for _ in range(50)]
    places = pick(labels, 300)
    counts = np.bincount([labels[place] for place in places], minlength=100)
    assert len(places) == len(set(places)) == 300
    assert set(counts) == {0, 5}
    assert pick(list(range(500)), 300) == [i * 500 // 300 for i in range(300)]
    assert pick([0, 1, 2], 300) == [0, 1, 2]
