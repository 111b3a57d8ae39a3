"""Whether labels are in the order of a network's outputs, told from its predictions.

A permuted order leaves a trace that a bad model does not: the predictions of a class agree with
each other, and not with its label. A known order is recognised by how many predictions it explains.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
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
_SHIFTED_ALL = 0.5
# Twenty times what chance reaches among 1000 classes.
_ABOVE_CHANCE = 0.02


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


def judge(labels: Sequence[int], predictions: Sequence[int]) -> OrderVerdict:
    """Return what a network's predictions say of the labels of the same images.

    Args:
        labels: class indices of ImageNet, one an image.
        predictions: the network's first answers, in the same order.
    """
    truth, seen = np.asarray(labels), np.asarray(predictions)
    in_place = float((truth == seen).mean())
    told = f"{int((truth == seen).sum())} of {len(truth)} predictions are the label"
    order, explained = _best_known(truth, seen)
    if explained >= _EXPLAINS and explained > 2 * in_place:
        return OrderVerdict(
            "permuted",
            f"{told}, and {explained:.0%} are the label's class in another order: {order.name}",
            order.mend,
        )
    groups = _modes(truth, seen)
    shifted = {label: mode for label, mode in groups.items() if mode is not None and mode != label}
    if len(groups) >= _MIN_CLASSES:
        if len(shifted) >= _SHIFTED_ALL * len(groups) and _one_to_one(shifted):
            return _unknown_order(f"{told}; classes are consistently seen as others", shifted)
        if len(shifted) >= _SHIFTED_PART * len(groups) and _one_to_one(shifted):
            part = (
                f"{told}; {len(shifted)} of {len(groups)} classes are consistently seen as others"
            )
            return _unknown_order(part, shifted)
    if in_place >= _EXPLAINS:
        return OrderVerdict("right", told)
    if in_place >= _ABOVE_CHANCE and (truth == seen).sum() >= _IMAGES_A_CLASS:
        return OrderVerdict("right", f"{told}: few, but far more than by chance; hard images")
    return _nothing(told, enough=len(groups) >= _MIN_CLASSES)


def _nothing(told: str, *, enough: bool) -> OrderVerdict:
    if enough:
        return OrderVerdict(
            "unclear",
            f"{told}, and those of a class do not agree with each other: a bad model, or images "
            "of something else, rather than another order",
            "try another model with --model",
        )
    return OrderVerdict(
        "unclear",
        f"{told}, no known order explains them, and there are too few images a class to see "
        "whether they agree with each other",
        "compare a few labels with their images by eye",
    )


def _unknown_order(text: str, shifted: dict[int, int]) -> OrderVerdict:
    names = class_names()
    first = sorted(shifted.items())[:3]
    pairs = ", ".join(f"{a} ({_short(names[a])}) as {b} ({_short(names[b])})" for a, b in first)
    return OrderVerdict(
        "permuted",
        f"{text}: {pairs}; no order that is known",
        "labels must be the place of a class's WordNet id among the 1000, sorted, from 0",
    )


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


def _one_to_one(shifted: dict[int, int]) -> bool:
    """Return whether hardly two labels are seen as one class, which a collapsed model would do."""
    return len(set(shifted.values())) >= 0.8 * len(shifted)


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
    devkit = np.array([place[wnid] for wnid in devkit_order()])
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
        _Order(
            "the ILSVRC devkit's, counted from 0",
            devkit,
            "map the devkit's numbers by its meta.mat, or put meta.mat beside its text",
        ),
        _Order(
            "the ILSVRC devkit's, counted from 1",
            np.concatenate([[-1], devkit[:-1]]),
            "map the devkit's numbers by its meta.mat, or put meta.mat beside its text",
        ),
        _Order("the ILSVRC devkit's, the wrong way round", np.argsort(devkit), renumber),
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


@cache
def devkit_order() -> tuple[str, ...]:
    """Return the WordNet ids in the order of the ILSVRC 2012 devkit's numbers 1 to 1000.

    Only to recognise that order: labels are never read by it, but by the devkit's own meta.mat.
    """
    return tuple((Path(__file__).parent / "devkit_order.txt").read_text().split())
