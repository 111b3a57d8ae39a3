"""Options with a fixed set of choices; a wrong word is answered with the nearest ones."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Literal, cast

from bench.records import Figure
from zoo.errors import UnknownNameError, ZoobenchError


def choice(option: str, word: str, choices: Iterable[str]) -> str:
    """Return the word if it is one of the choices.

    Raises:
        UnknownNameError: it is not.
    """
    known = list(choices)
    if word not in known:
        raise UnknownNameError(option.lstrip("-").replace("-", " "), word, known, option)
    return word


def figures(text: str) -> tuple[Figure, ...]:
    """Return the figures of a comma-separated list, each once."""
    from bench.records import FIGURES

    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise ZoobenchError(f"--figures: none are named; choices: {', '.join(FIGURES)}")
    return tuple(cast(Figure, choice("--figures", word, FIGURES)) for word in dict.fromkeys(words))


def size_bytes(option: str, text: str | None) -> int | None:
    """Return the bytes of a size like ``20GB`` or ``512MiB``; a bare number is bytes."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", text.strip().lower())
    if match is None or (match[3] and not match[2]):
        raise ZoobenchError(f"{option} {text!r}: give a size like 20GB, 512MiB or 0")
    base = 1024 if match[3] else 1000
    return round(float(match[1]) * base ** " kmgt".index(match[2] or " "))


def devices(text: str) -> tuple[str, ...]:
    """Return the devices of a comma-separated list; several are GPUs, each named once."""
    words = tuple(word.strip() for word in text.split(","))
    gpus = all(re.fullmatch(r"cuda:\d+", word) for word in words)
    if len(words) > 1 and (not gpus or len(set(words)) < len(words)):
        raise ZoobenchError(
            f"--device {text!r}: several devices are GPUs, each named once, like cuda:0,cuda:1"
        )
    return words


def batches(text: str | None) -> Sequence[int | Literal["auto"] | None]:
    """Return the batch sizes of a comma-separated list; None stands for the device's default."""
    if text is None:
        return [None]
    words = [word.strip() for word in text.split(",")]
    if not all(word == "auto" or (word.isdigit() and int(word) > 0) for word in words):
        raise ZoobenchError(f"--batch {text!r}: give positive whole numbers or auto, like 1,8,auto")
    return ["auto" if word == "auto" else int(word) for word in dict.fromkeys(words)]


def share(option: str, text: str | None, *, at_most: float) -> float | None:
    """Return a share that is written as per cent (``0.5%``) or as a fraction (``0.005``).

    Raises:
        ZoobenchError: it is no number, or not above 0 and at most ``at_most``.
    """
    if text is None:
        return None
    number = text.strip().removesuffix("%")
    try:
        value = float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not 0 < value <= at_most:  # which NaN is not either
        raise ZoobenchError(
            f"{option} {text!r}: give per cent or a fraction, above 0 and at most "
            f"{100 * at_most:g}%, like 0.5% or 0.005"
        )
    return value
