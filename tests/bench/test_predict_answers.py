"""What counts as a picture, and when models agree."""

import io
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import predict
from bench.predict import Answer, Answers, Guess, Picture, find_pictures
from zoo.errors import DataError


def _guess(model: str, *names: str) -> Guess:
    return Guess(model, "sha", tuple((i, name, 0.5) for i, name in enumerate(names)))


def test_a_folder_gives_its_visible_pictures_in_order(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/c.png", "notes.txt", ".hidden.png", ".cache/d.png", "@eaDir/e.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    found = [Path(picture.name).name for picture in find_pictures([str(tmp_path)])]
    assert found == ["c.png", "b.JPG"]


def test_a_file_that_is_named_is_tried_whatever_its_suffix() -> None:
    assert find_pictures(["photo.data"]) == [Picture("photo.data")]


def test_a_fifo_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(OSError, match="a FIFO, not a file"):
        Picture(str(tmp_path / "a.jpg")).read()


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = SimpleNamespace(buffer=io.BytesIO(b"pixels"))
    monkeypatch.setattr(predict.sys, "stdin", stream)
    (picture,) = find_pictures(["-"])
    assert picture.name == "standard input"
    assert picture.read() == b"pixels"


@pytest.mark.parametrize("words", [[], ["."]], ids=["none named", "empty folder"])
def test_no_picture_at_all_is_a_mistake(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"no picture: .*standard input"):
        find_pictures(words)


def test_models_agree_if_all_say_the_same_first() -> None:
    answer = Answer(Picture("a"))
    answer.guesses = [_guess("x", "dog", "cat")]
    assert answer.agree is None  # one alone has none to agree with
    answer.guesses.append(_guess("y", "dog", "bird"))
    assert answer.agree is True
    answer.guesses.append(_guess("z", "cat", "dog"))
    assert answer.agree is False
    assert answer.votes().most_common() == [("dog", 2), ("cat", 1)]


def test_answers_are_complete_only_if_all_was_read_and_all_models_spoke() -> None:
    fine, broken = Answer(Picture("a")), Answer(Picture("b"), unreadable="truncated")
    assert Answers((fine,), ()).complete
    assert not Answers((fine, broken), ()).complete
    assert not Answers((fine,), (("model", "no weights"),)).complete
