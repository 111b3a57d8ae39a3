"""A permuted order of labels is told from a bad model, from mixed labels and from hard images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.order import OrderVerdict, judge, known_orders, pick

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


# A user's own classes


def _own(count: int, images: int, accuracy: float, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Labels, answers and their probabilities, higher of right answers, by a head of one's own."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(count), images)
    seen = np.where(rng.random(len(truth)) < accuracy, truth, rng.integers(0, count, len(truth)))
    sure = np.where(seen == truth, rng.beta(6, 2, len(truth)), rng.beta(2, 3, len(truth)))
    return truth, seen, sure


def _judged(labels: np.ndarray, seen: np.ndarray, sure: np.ndarray, count: int) -> OrderVerdict:
    names = [f"class {i}" for i in range(count)]
    return judge(labels.tolist(), seen.tolist(), sure.tolist(), names)


@pytest.mark.parametrize(("count", "images"), [(2, 30), (5, 20), (10, 7), (40, 7), (40, 1)])
@pytest.mark.parametrize("accuracy", [0.95, 0.75])
@given(seed=st.integers(0, 10**6))
@settings(max_examples=10)
def test_the_right_order_of_own_classes_is_right(
    count: int, images: int, accuracy: float, seed: int
) -> None:
    assert _judged(*_own(count, images, accuracy, seed), count).verdict == "right"


@pytest.mark.parametrize(("count", "images"), [(2, 30), (5, 20), (10, 7), (40, 7), (40, 1)])
@given(seed=st.integers(0, 10**6))
@settings(max_examples=10)
def test_a_permuted_head_is_found(count: int, images: int, seed: int) -> None:
    turned = np.roll(np.random.default_rng(seed).permutation(count), 1)
    permutation = np.empty(count, np.int64)
    permutation[turned] = np.roll(turned, 1)  # moves every class
    labels, seen, sure = _own(count, images, 0.85, seed)
    found = _judged(labels, permutation[seen], sure, count)
    assert found.verdict == "permuted"
    assert found.mend is not None


def test_a_permuted_head_is_named_by_its_classes() -> None:
    labels, seen, sure = _own(5, 20, 0.95)
    permutation = np.array([1, 2, 0, 3, 4])
    found = _judged(labels, permutation[seen], sure, 5)
    assert "0 (class 0) as 1 (class 1), 1 (class 1) as 2 (class 2)" in found.text
    assert "alphabetical order, as ImageFolder" in str(found.mend)


@pytest.mark.parametrize(
    ("turned", "verdict"), [(0.0, "right"), (0.1, "right"), (0.2, "permuted"), (1.0, "permuted")]
)
def test_a_permuted_part_of_few_classes_is_seen(turned: float, verdict: str) -> None:
    """Two of 9 classes have a share of the images; below 15 % it may be noise."""
    others, swapped = 1000 - round(1000 * turned), round(1000 * turned)
    labels = np.concatenate([np.arange(others) % 7 + 2, np.arange(swapped) % 2])
    seen = np.where(labels < 2, 1 - labels, labels)
    assert _judged(labels, seen, np.full(1000, 0.9), 9).verdict == verdict


@given(seed=st.integers(0, 10**6), count=st.sampled_from([2, 5, 10, 40]))
@settings(max_examples=40)
def test_a_head_that_guesses_is_not_called_permuted(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    labels, seen = np.repeat(np.arange(count), 7), rng.integers(0, count, 7 * count)
    assert _judged(labels, seen, rng.uniform(0, 2 / count, len(labels)), count).verdict == "unclear"


def test_a_head_that_says_the_same_of_all_is_neither_right_nor_permuted() -> None:
    labels = np.array([0] * 80 + [1] * 20)
    for answer in (
        0,
        1,
    ):  # right of most by chance; and of few, so that the other would explain most
        found = _judged(labels, np.full(100, answer), np.full(100, 0.99), 2)
        assert found.verdict == "unclear"


def test_few_images_of_few_classes_do_not_tell() -> None:
    labels = np.arange(10)
    seen = np.roll(labels, 3)
    assert _judged(labels, seen, np.full(10, 0.5), 10).verdict == "unclear"
    assert _judged(np.arange(40), np.roll(np.arange(40), 3), np.full(40, 0.5), 40).verdict == (
        "permuted"
    )


def test_images_of_one_class_that_are_seen_as_it_are_right() -> None:
    found = judge([7] * 10, [7] * 10, [0.9] * 10)
    assert found.verdict == "right"


def test_own_classes_counted_from_1_are_named() -> None:
    labels, seen, sure = _own(40, 5, 0.9)
    found = _judged((labels + 1)[labels < 39], seen[labels < 39], sure[labels < 39], 40)
    assert found.verdict == "permuted"
    assert "counted from 1" in found.text


def test_the_budget_is_used_for_few_classes() -> None:
    labels = [label for label in range(40) for _ in range(50)]
    assert len(pick(labels, 300)) == 40 * 7
