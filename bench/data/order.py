"""Whether labels are in the order of a network's outputs, told from its predictions.

A permuted order leaves a trace that a bad model does not: the predictions of a class agree with
each other, and not with its label. A known order is recognised by how many predictions it explains.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import IMAGENET_CLASSES
from bench.data.imagenet import class_names, wnids
from bench.data.sets.masked import classes_of

# Fewer images tell nothing.
MIN_IMAGES = 10
# Images of one class, to see whether their predictions agree with each other.
_IMAGES_A_CLASS = 5
_MIN_IMAGES_A_CLASS = 3
_MIN_CLASSES = 10
# An order that explains this share of the predictions, and twice what the labels do, is the one.
_EXPLAINS = 0.3
# The share of a class's predictions that makes it consistently another class.
_CONSISTENT = 0.75
# Confusable pairs (sunglass, sunglasses) make a few classes look shifted; a permutation makes more.
_SHIFTED_PART = 0.15
# So many times the right answers that chance gives, and one more, are no chance.
_TIMES_CHANCE = 3
# A trained model on photographs of its classes: its mean probability, and the share of different
# answers among as many images of nearly as many classes.
_SURE = 0.3
_DIFFERENT = 0.15
_MEND = (
    "a label must be the place of the class's WordNet id among the 1000, sorted, from 0; the "
    "ILSVRC devkit's numbers are in another order, which its meta.mat maps"
)


@dataclass(frozen=True)
class OrderVerdict:
    """What the predictions say of the order: right, permuted, or nothing; and in words."""

    verdict: Literal["right", "permuted", "unclear"]
    text: str
    mend: str | None = None


@dataclass(frozen=True)
class _Order:
    """A known wrong order: the class that label N stands for (-1: none), and how to mend it."""

    name: str
    true_class: NDArray[np.int64]
    mend: str


def pick(labels: Sequence[int], budget: int) -> list[int]:
    """Return the places of images to predict: of evenly spread classes, several images of each.

    Where classes have too few images for that, images are spread over all.
    """
    by_label: dict[int, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        by_label[label].append(place)
    full = [label for label in sorted(by_label) if len(by_label[label]) >= _MIN_IMAGES_A_CLASS]
    if len(full) < _MIN_CLASSES:
        count = min(budget, len(labels))
        return [i * len(labels) // count for i in range(count)]
    classes = min(len(full), budget // _IMAGES_A_CLASS)
    chosen = [full[i * len(full) // classes] for i in range(classes)]
    return sorted(place for label in chosen for place in by_label[label][:_IMAGES_A_CLASS])


def judge(
    labels: Sequence[int], predictions: Sequence[int], probabilities: Sequence[float]
) -> OrderVerdict:
    """Return what a network's predictions say of the labels of the same images.

    Args:
        labels: class indices of ImageNet, one an image.
        predictions: the network's first answers, in the same order.
        probabilities: how sure it is of each.
    """
    truth, seen = np.asarray(labels), np.asarray(predictions)
    right = int((truth == seen).sum())
    told = f"{right} of {len(truth)} predictions are the label"
    order, explained = _best_known(truth, seen)
    if explained >= _EXPLAINS and explained > 2 * right / len(truth):
        why = f"{told}, and {explained:.0%} are the label's class in another order: {order.name}"
        return OrderVerdict("permuted", why, order.mend)
    groups = _modes(truth, seen)
    if shifted := _shifted(groups):
        some = f"{len(shifted)} of {len(groups)} classes are consistently seen as another"
        return _unknown_order(f"{told}; {some}", shifted)
    if right >= _EXPLAINS * len(truth):
        return OrderVerdict("right", told)
    if right > _TIMES_CHANCE * (_by_chance(truth, seen) + 1):
        return OrderVerdict("right", f"{told}: few, but far more than by chance; hard images")
    sure = float(np.mean(probabilities))
    return _without_order(told, seen, sure, consistency_seen=len(groups) >= _MIN_CLASSES)


def _without_order(
    told: str, seen: NDArray[np.int64], sure: float, *, consistency_seen: bool
) -> OrderVerdict:
    """Return whether it is the labels or the model, where no order explains the predictions."""
    different = len(set(seen.tolist()))
    if sure < _SURE or different < _DIFFERENT * len(seen):
        return OrderVerdict(
            "unclear",
            f"{told}; it is unsure of its answers (mean probability {sure:.2f}, {different} "
            "different ones): a bad model or images of something else, rather than another order",
            "try another model with --model",
        )
    if consistency_seen:
        return OrderVerdict(
            "permuted",
            f"{told}, though it is sure (mean probability {sure:.2f}), and the images of a class "
            "are not seen as one class: labels are mixed among the images",
            "match labels and images by name: a list was read in another order than the files",
        )
    return OrderVerdict(
        "permuted",
        f"{told}, though it is sure (mean probability {sure:.2f}) of {different} different "
        "classes: the labels are in another order, and in none that is known",
        _MEND,
    )


def _unknown_order(text: str, shifted: dict[int, int]) -> OrderVerdict:
    names = class_names()
    first = sorted(shifted.items())[:3]
    pairs = ", ".join(f"{a} ({_short(names[a])}) as {b} ({_short(names[b])})" for a, b in first)
    return OrderVerdict("permuted", f"{text}: {pairs}; in no order that is known", _MEND)


def _short(name: str) -> str:
    return name.partition(",")[0]


def _modes(truth: NDArray[np.int64], seen: NDArray[np.int64]) -> dict[int, int | None]:
    """Return, of each label with enough images, the class that nearly all are seen as, or None."""
    votes: dict[int, Counter[int]] = defaultdict(Counter)
    for label, prediction in zip(truth.tolist(), seen.tolist(), strict=True):
        votes[label][prediction] += 1
    found: dict[int, int | None] = {}
    for label, counter in votes.items():
        if counter.total() >= _MIN_IMAGES_A_CLASS:
            mode, count = counter.most_common(1)[0]
            found[label] = mode if count >= _CONSISTENT * counter.total() else None
    return found


def _by_chance(truth: NDArray[np.int64], seen: NDArray[np.int64]) -> float:
    """Return how many answers would be right if answers and labels were independent."""
    counts = [np.bincount(values, minlength=IMAGENET_CLASSES) for values in (truth, seen)]
    return float((counts[0] * counts[1]).sum() / len(truth))


def _shifted(groups: dict[int, int | None]) -> dict[int, int]:
    """Return the classes that are consistently seen as another; {} if these are few.

    Hardly two of them may be seen as one class, which a model that says always the same would do.
    """
    shifted = {label: mode for label, mode in groups.items() if mode is not None and mode != label}
    many = len(groups) >= _MIN_CLASSES and len(shifted) >= _SHIFTED_PART * len(groups)
    return shifted if many and len(set(shifted.values())) >= 0.8 * len(shifted) else {}


def _best_known(truth: NDArray[np.int64], seen: NDArray[np.int64]) -> tuple[_Order, float]:
    rates = [(float((order.true_class[truth] == seen).mean()), order) for order in known_orders()]
    rate, order = max(rates, key=lambda pair: pair[0])
    return order, rate


@cache
def known_orders() -> tuple[_Order, ...]:
    """Return the wrong orders that are known to occur."""
    count = IMAGENET_CLASSES
    as_text = np.array(sorted(range(count), key=str))
    by_name = np.array(sorted(range(count), key=lambda label: class_names()[label]))
    place = {wnid: label for label, wnid in enumerate(wnids())}
    every = np.arange(count)
    renumber = "number the classes by their WordNet ids, sorted, from 0"
    return (
        _Order(
            "folders 0 to 999 sorted as text (0, 1, 10, 100, …)",
            as_text,
            "take the folder's number as the label, as v2:DIR does",
        ),
        _Order(
            "numbers sorted as text, applied the wrong way round", np.argsort(as_text), renumber
        ),
        _Order("counted from 1", every - 1, "subtract 1 from each label"),
        _Order("counted from -1", np.append(every[1:], -1), "add 1 to each label"),
        _Order("class names in alphabetical order", by_name, renumber),
        _Order("class names in alphabetical order, inverted", np.argsort(by_name), renumber),
        _Order("reversed", every[::-1].copy(), renumber),
        *(_among_200(letter, place) for letter in ("a", "r")),
    )


def _among_200(letter: str, place: dict[str, int]) -> _Order:
    true_class = np.full(IMAGENET_CLASSES, -1)
    own = sorted(place[wnid] for wnid in classes_of(letter))
    true_class[: len(own)] = own
    name = f"the place among ImageNet-{letter.upper()}'s 200 classes"
    return _Order(name, true_class, f"keep the WordNet ids as folder names, and use {letter}:DIR")
