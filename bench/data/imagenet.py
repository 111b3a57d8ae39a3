"""ImageNet-1k's classes: WordNet ids in label order, and their names, from timm's data files."""

import re
from collections import defaultdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from zoo.errors import DataError


def info(file: str) -> str:
    """Return the text of one of timm's data files, without importing timm (and torch with it).

    Raises:
        DataError: timm is not installed.
    """
    spec = find_spec("timm")
    if spec is None or spec.origin is None:
        raise DataError("timm is not installed, and ImageNet's class list lies in it")
    return (Path(spec.origin).parent / "data" / "_info" / file).read_text("utf-8")


@cache
def wnids() -> tuple[str, ...]:
    """Return the 1000 WordNet ids; the position is the label."""
    return tuple(info("imagenet_synsets.txt").splitlines())


@cache
def class_names() -> tuple[str, ...]:
    """Return the 1000 class names; the position is the label."""
    lemmas = dict(line.split("\t", 1) for line in info("imagenet_synset_to_lemma.txt").splitlines())
    return tuple(lemmas[wnid] for wnid in wnids())


def labels_named(name: str) -> tuple[int, ...]:
    """Return the labels of the classes that have a name; several share one, like ``crane``.

    A class is named by its WordNet id, by all its words ("tench, Tinca tinca"), or by the first of
    them; case does not matter in words, nor do underscores or hyphens for spaces.
    """
    return (wnids().index(name),) if name in wnids() else _labels_by_word().get(_plain(name), ())


def is_in_words(name: str) -> bool:
    """Return whether a name is that of one class, and not its WordNet id."""
    return name not in wnids() and len(labels_named(name)) == 1


@cache
def _labels_by_word() -> dict[str, tuple[int, ...]]:
    found: dict[str, set[int]] = defaultdict(set)
    for label, name in enumerate(class_names()):
        for word in (name, name.partition(",")[0]):
            found[_plain(word)].add(label)
    return {word: tuple(sorted(labels)) for word, labels in found.items()}


def _plain(name: str) -> str:
    return re.sub(r"[\s_/-]+", " ", name).strip().casefold()
