"""ImageNet-1k's classes: WordNet ids in label order, and their names, from timm's data files."""

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
