"""Pictures to classify, the worker that does it, and what it found. Loads no torch.

The networks run in a process of their own: the command stays small, and a crash has a message.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.data.dataset import IMAGENET_CLASSES
from bench.data.files import is_left_out, read_file
from bench.data.imagenet import class_names
from bench.data.listing import IMAGE_SUFFIXES
from bench.executors import local
from bench.worker import redirect_output
from zoo.entry import Entry
from zoo.errors import DataError

Event = dict[str, Any]

_STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Picture:
    """A picture under the name that the user knows; ``data`` holds one from standard input."""

    name: str
    data: bytes | None = None

    def read(self) -> bytes:
        """Return the encoded picture; raise OSError if it is not there or is not a file."""
        return read_file(Path(self.name).expanduser()) if self.data is None else self.data


@dataclass(frozen=True)
class Guess:
    """What one network says of one picture: (class, name, probability), the largest first."""

    model: str
    weights_sha256: str
    top: tuple[tuple[int, str, float], ...]


@dataclass
class Answer:
    """What all networks say of one picture, or why it cannot be read.

    ``odd`` says why its pixels are not what they seem, as of 16 bits.
    """

    picture: Picture
    guesses: list[Guess] = field(default_factory=list)
    unreadable: str | None = None
    odd: str | None = None

    @property
    def agree(self) -> bool | None:
        """Return whether all say the same first; None where fewer than two speak."""
        return None if len(self.guesses) < 2 else len(self.votes()) == 1

    def votes(self) -> Counter[str]:
        """Return how many networks say each first class, by name."""
        return Counter(guess.top[0][1] for guess in self.guesses)


@dataclass(frozen=True)
class Answers:
    """An answer a picture, in their order, and the models left out with their reasons.

    ``notes`` say of a model what was chosen in its file of weights.
    """

    answers: tuple[Answer, ...]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def complete(self) -> bool:
        """Return whether every model spoke of every picture."""
        return not self.skipped and not any(answer.unreadable for answer in self.answers)


def find_pictures(words: Sequence[str]) -> list[Picture]:
    """Return the pictures that files, folders and ``-`` (standard input) stand for.

    A missing file is a picture that cannot be read: the others are classified all the same.

    Raises:
        DataError: there is no picture at all.
    """
    found: list[Picture] = []
    for word in words:
        path = Path(word).expanduser()
        if word == _STANDARD_INPUT:
            found.append(Picture("standard input", sys.stdin.buffer.read()))
        elif path.is_dir():
            found += [Picture(str(file)) for file in _files(path)]
        else:
            found.append(Picture(word))
    if not found:
        where = f"none lies in {', '.join(words)}" if words else "none is named"
        raise DataError(f"no picture: {where}; name files, folders, or - for standard input")
    return found


def _files(folder: Path) -> list[Path]:
    """Return the pictures below a folder by their suffixes, sorted, without what a system adds.

    A file that is named itself is always tried. A FIFO or a broken link is named when it is read.
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.is_dir()
        and not any(map(is_left_out, path.relative_to(folder).parts))
    )


def classify(
    entries: Sequence[Entry], pictures: Sequence[Picture], *, top: int, device: str = "auto"
) -> Answers:
    """Return what every network says of every picture.

    Args:
        entries: models with trained weights; one whose weights cannot be had is skipped.
        pictures: what ``find_pictures`` found.
        top: how many classes of each answer, at least 1.
        device: auto, cpu, cuda or cuda:N.

    Raises:
        ZoobenchError: the worker died.
    """
    answers = tuple(Answer(picture) for picture in pictures)
    skipped, notes = [], []
    for event in local.ask(_in_worker, list(entries), list(pictures), top, device):
        if event["event"] == "skipped":
            skipped.append((event["model"], event["reason"]))
        elif event["event"] == "note":
            notes.append((event["model"], event["text"]))
        elif event["event"] == "unreadable":
            answers[event["picture"]].unreadable = event["reason"]
        else:
            answers[event["picture"]].guesses.append(_guess(event))
            answers[event["picture"]].odd = event["odd"]
    return Answers(answers, tuple(skipped), tuple(notes))


def _guess(event: Event) -> Guess:
    names = class_names() if event["classes_in_all"] == IMAGENET_CLASSES else None
    return Guess(
        model=event["model"],
        weights_sha256=event["weights_sha256"],
        top=tuple(
            (index, names[index].partition(",")[0] if names else f"class {index}", probability)
            for index, probability in zip(event["classes"], event["probabilities"], strict=True)
        ),
    )


def _in_worker(
    entries: list[Entry], pictures: list[Picture], top: int, device: str, log: str, pipe: Connection
) -> None:
    from bench.measure import classify as measure  # torch, which the parent does without

    redirect_output(log)
    measure.run(entries, pictures, top, device, pipe)
