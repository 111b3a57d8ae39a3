"""A scan reads every file once, and names what an evaluation would not take as it is."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.dataset import open_dataset
from bench.data.preprocess import LARGEST_RESIZED_PX
from bench.data.scan import ImageFacts, scan


def _facts(folder: Path) -> ImageFacts:
    (found,) = scan(open_dataset(str(folder), labels="folder"), lambda *_: None)
    return found


def test_a_file_of_16_bits_is_odd(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(tmp_path / "a" / "x.png")
    facts = _facts(tmp_path)
    assert facts.reason is None
    assert facts.odd is not None
    assert "mode I;16" in facts.odd


def test_a_fifo_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / "x.png")
    assert _facts(tmp_path).reason == "a FIFO, not a file"


@pytest.mark.parametrize("longer", [0, 1])
def test_a_strip_that_no_resize_takes_is_named(tmp_path: Path, longer: int) -> None:
    (tmp_path / "a").mkdir()
    longest = 2 * LARGEST_RESIZED_PX // 224**2  # of a strip 2 px wide
    Image.new("L", (2, longest + longer)).save(tmp_path / "a" / "x.png")
    assert _facts(tmp_path).reason == (f"a strip of 2x{longest + longer} px" if longer else None)
