"""Whether labels are in the order of a network's outputs, told from its predictions.

A permuted order leaves a trace that a bad model does not: the predictions of a class agree with
each other, and not with its label. A known order is recognised by how many predictions it explains,
an unknown one by a map of labels to outputs that holds on images which it was not made from.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import binom

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
# A map of labels to outputs that explains this much more than the labels do is the order.
_EXPLAINS_MORE = 0.15
# The share of a class's predictions that makes it consistently another class.
_CONSISTENT = 0.75
# Confusable pairs (sunglass, sunglasses) make a few classes look shifted; a permutation makes more.
_SHIFTED_PART = 0.15
# Right answers are not due to chance if that gives as many with at most this probability, and if
# they exceed its mean by a few. In the right order a model is right as often as its probabilities
# say, or half of that; it is another order if so few would then have at most this probability.
_CHANCE = 0.001
_FEW = 3
# A trained model on photographs of its classes: its mean probability, and the share of different
# answers among as many images of nearly as many classes.
_SURE = 0.3
_TIMES_GUESS = 3
_DIFFERENT = 0.15
_MEND_OWN = (
    "output N of the network must be class N of the names in alphabetical order, as ImageFolder "
    "numbers them: reorder the outputs, or rename the folders"
)
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
class _Classes:
    """The names of the classes, and how to correct an order that is not known."""

    names: Sequence[str]
    mend: str


@dataclass(frozen=True)
class _Moved:
    """Labels that are other outputs, and what says so."""

    text: str
    pairs: dict[int, int]


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
    return sorted(place for label in chosen for place in by_label[label][: budget // classes])


def judge(
    labels: Sequence[int],
    predictions: Sequence[int],
    probabilities: Sequence[float],
    names: Sequence[str] | None = None,
) -> OrderVerdict:
    """Return what a network's predictions say of the labels of the same images.

    Args:
        labels: class indices, one per image.
        predictions: the network's first answers, in the same order.
        probabilities: how sure it is of each.
        names: of the classes, if they are not ImageNet's.
    """
    truth, seen = np.asarray(labels), np.asarray(predictions)
    classes = _Classes(class_names(), _MEND) if names is None else _Classes(names, _MEND_OWN)
    right = int((truth == seen).sum())
    told = f"{right} of {len(truth)} predictions are the label"
    order, explained = _best_known(truth, seen, len(classes.names))
    if order and explained >= _EXPLAINS and explained > 2 * right / len(truth):
        why = f"{told}, and {explained:.0%} are the label's class in another order: {order.name}"
        return OrderVerdict("permuted", why, order.mend)
    groups = _modes(truth, seen)
    if shifted := _shifted(groups):
        some = f"{len(shifted)} of {len(groups)} classes are consistently seen as another"
        return _unknown_order(f"{told}; {some}", shifted, classes)
    sure = np.asarray(probabilities)
    if moved := _moved(truth, seen, sure, len(classes.names)):
        return _unknown_order(f"{told}; {moved.text}", moved.pairs, classes)
    if _beyond_chance(truth, seen) and right > _by_chance(truth, seen) + _FEW:
        if right >= _EXPLAINS * len(truth):
            return OrderVerdict("right", told)
        return OrderVerdict("right", f"{told}: few, but far more than by chance; hard images")
    consistency_seen = len(groups) >= _MIN_CLASSES
    mean = float(sure.mean())
    if binom.cdf(right, len(truth), mean / 2) > _CHANCE:
        return OrderVerdict(
            "unclear",
            f"{told}: too few images to tell a bad model from another order",
            "give more images of each class, or another model with --model",
        )
    return _without_order(told, seen, mean, classes, consistency_seen)


def _without_order(
    told: str,
    seen: NDArray[np.int64],
    sure: float,
    classes: _Classes,
    consistency_seen: bool,
) -> OrderVerdict:
    """Return whether it is the labels or the model, where no order explains the predictions."""
    different, count = len(set(seen.tolist())), len(classes.names)
    is_sure = sure >= max(_SURE, _TIMES_GUESS / count)
    if not is_sure or different < _DIFFERENT * min(len(seen), count):
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
        "classes: labels and outputs are in different orders, and in none that is known",
        classes.mend,
    )


def _unknown_order(text: str, shifted: dict[int, int], classes: _Classes) -> OrderVerdict:
    names = classes.names
    first = sorted(shifted.items())[:3]
    pairs = ", ".join(f"{a} ({_short(names[a])}) as {b} ({_short(names[b])})" for a, b in first)
    return OrderVerdict("permuted", f"{text}: {pairs}; in no order that is known", classes.mend)


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
    """Return how many answers would be right if answers and labels were independent.

    None of images of one class alone, which cannot tell.
    """
    if len(np.unique(truth)) == 1:
        return 0.0
    count = 1 + int(max(truth.max(), seen.max()))
    # A map may know no output of a label: -1.
    counts = [np.bincount(values[values >= 0], minlength=count) for values in (truth, seen)]
    return float((counts[0] * counts[1]).sum() / len(truth))


def _beyond_chance(truth: NDArray[np.int64], seen: NDArray[np.int64]) -> bool:
    """Return whether more answers are right than of independent answers and labels would be."""
    images, right = len(truth), int((truth == seen).sum())
    share = _by_chance(truth, seen) / images
    return bool(binom.sf(right - 1, images, share) < _CHANCE)


def _moved(
    truth: NDArray[np.int64], seen: NDArray[np.int64], sure: NDArray[np.float64], classes: int
) -> _Moved | None:
    """Return the map of labels to outputs, if it explains far more than the labels themselves.

    Only the surer half of the answers counts. Each half of the images is judged by the map that
    explains the other best, so that a map which merely follows a bad model's answers explains none.
    """
    surer = sure >= np.median(sure)
    truth, seen = truth[surer], seen[surer]
    half = _halves(truth)
    mapped = np.full(len(truth), -1)
    for judged in (half == 0, half == 1):
        mapped[judged] = _best_map(truth[~judged], seen[~judged], classes)[truth[judged]]
    explained, right = float((mapped == seen).mean()), float((truth == seen).mean())
    if explained < max(_EXPLAINS, right + _EXPLAINS_MORE) or not _beyond_chance(mapped, seen):
        return None
    output_of = _best_map(truth, seen, classes)
    pairs = {int(a): int(output_of[a]) for a in np.unique(truth) if output_of[a] not in (a, -1)}
    return _Moved(
        f"of the surer half, another order of the outputs explains {explained:.0%}, and the labels "
        f"{right:.0%}",
        pairs,
    )


def _halves(truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0 and 1 by turns among the images of each label."""
    turn: Counter[int] = Counter()
    half = []
    for label in truth.tolist():
        half.append(turn[label] % 2)
        turn[label] += 1
    return np.array(half)


def _best_map(truth: NDArray[np.int64], seen: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return (classes,): the output of each label, each of another, that explains most answers.

    -1 where a label has no image, or no answer that its output explains.
    """
    labels, rows = np.unique(truth, return_inverse=True)
    votes = np.zeros((len(labels), classes))
    np.add.at(votes, (rows, seen), 1)
    chosen, outputs = linear_sum_assignment(votes, maximize=True)
    found = np.full(classes, -1)
    found[labels[chosen]] = np.where(votes[chosen, outputs] > 0, outputs, -1)
    return found


def _shifted(groups: dict[int, int | None]) -> dict[int, int]:
    """Return the classes that are consistently seen as another; {} if these are few.

    Hardly two of them may be seen as one class, which a model that says always the same would do.
    """
    shifted = {label: mode for label, mode in groups.items() if mode is not None and mode != label}
    many = len(groups) >= _MIN_CLASSES and len(shifted) >= _SHIFTED_PART * len(groups)
    return shifted if many and len(set(shifted.values())) >= 0.8 * len(shifted) else {}


def _best_known(
    truth: NDArray[np.int64], seen: NDArray[np.int64], classes: int
) -> tuple[_Order | None, float]:
    """Return the known order that explains most, and the share; (None, 0) if it may be chance."""
    orders = known_orders(classes)
    rates = [float((order.true_class[truth] == seen).mean()) for order in orders]
    best = int(np.argmax(rates))
    if not _beyond_chance(orders[best].true_class[truth], seen):
        return None, 0.0
    return orders[best], rates[best]


@cache
def known_orders(count: int = IMAGENET_CLASSES) -> tuple[_Order, ...]:
    """Return the wrong orders of ``count`` classes that are known to occur."""
    as_text = np.array(sorted(range(count), key=str))
    every = np.arange(count)
    number = "take the number as the label: give folders leading zeros"
    return (
        _Order(
            f"folders 0 to {count - 1} sorted as text (0, 1, 10, 100, …)",
            as_text,
            f"{number}, or say v2:DIR for ImageNet's" if count == IMAGENET_CLASSES else number,
        ),
        _Order("numbers sorted as text, applied the wrong way round", np.argsort(as_text), number),
        _Order("counted from 1", every - 1, "subtract 1 from each label"),
        _Order("counted from -1", np.append(every[1:], -1), "add 1 to each label"),
        _Order("reversed", every[::-1].copy(), "number the classes from the other end"),
        *(_imagenets_orders() if count == IMAGENET_CLASSES else ()),
    )


def _imagenets_orders() -> Iterator[_Order]:
    count = IMAGENET_CLASSES
    by_name = np.array(sorted(range(count), key=lambda label: class_names()[label]))
    place = {wnid: label for label, wnid in enumerate(wnids())}
    renumber = "number the classes by their WordNet ids, sorted, from 0"
    yield _Order("class names in alphabetical order", by_name, renumber)
    yield _Order("class names in alphabetical order, inverted", np.argsort(by_name), renumber)
    yield from (_among_200(letter, place) for letter in ("a", "r"))


def _among_200(letter: str, place: dict[str, int]) -> _Order:
    true_class = np.full(IMAGENET_CLASSES, -1)
    own = sorted(place[wnid] for wnid in classes_of(letter))
    true_class[: len(own)] = own
    name = f"the place among ImageNet-{letter.upper()}'s 200 classes"
    return _Order(name, true_class, f"keep the WordNet ids as folder names, and use {letter}:DIR")
