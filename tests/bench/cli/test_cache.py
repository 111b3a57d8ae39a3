"""The cache of decoded pixels as a user meets it: made by a run, listed, bounded, cleared."""

from pathlib import Path

import pandas as pd
import pytest

from bench.cli.choices import size_bytes
from bench.data.pixel_cache import PixelCache, default_folder
from tests.command import call
from zoo.errors import ZoobenchError

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (None, None),
        ("0", 0),
        ("1000", 1000),
        ("20GB", 20 * 10**9),
        ("20 gb", 20 * 10**9),
        ("1.5G", 15 * 10**8),
        ("512MiB", 512 * 2**20),
        ("1TB", 10**12),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str | None, size: int | None) -> None:
    assert size_bytes("--cache-size", text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "5XB", "1e9", "5 i"])
def test_what_is_no_size_says_what_is(text: str) -> None:
    with pytest.raises(ZoobenchError, match="like 20GB, 512MiB or 0"):
        size_bytes("--cache-size", text)


def test_a_second_run_reads_what_the_first_has_left(tmp_path: Path, capsys: Capture) -> None:
    """Workers have the environment of the fork server, so this is the session's own cache."""
    PixelCache(default_folder()).clear()
    run = ["run", "*lite[01]", "--figures", "top1", "--store"]
    assert call(*run, str(tmp_path / "a")) == 0
    assert call(*run, str(tmp_path / "b")) == 0
    capsys.readouterr()
    assert call("cache") == 0
    out = capsys.readouterr().out
    assert "sample, 20 images, pillow" in out
    assert "resize 256x256 center crop 224x224 bicubic rgb" in out
    assert "2 files, 0.006 GB of" in out
    assert max(len(line) for line in out.splitlines()[:-1]) <= 80
    tables = [pd.read_parquet(tmp_path / name / "report.parquet") for name in "ab"]
    assert tables[0]["top1"].tolist() == tables[1]["top1"].tolist()
    # So few images are timed apart, from files, whether their pixels were cached or not.
    assert all(table["end_to_end_images_per_s"].notna().all() for table in tables)
    assert tables[0]["memory_format"].tolist() == ["channels_last"] * 2
    assert tables[0]["decoder"].tolist() == ["pillow"] * 2

    assert call("cache", "--clear") == 0
    assert "2 files removed, 0.006 GB" in capsys.readouterr().out
    assert PixelCache(default_folder()).files() == []


def test_a_run_that_cannot_be_says_so_before_it_starts(capsys: Capture, tmp_path: Path) -> None:
    store = ["--store", str(tmp_path)]
    assert call("run", "*lite0", "--cache-size", "much", *store) == 2
    assert "give a size like 20GB" in capsys.readouterr().err
    assert call("run", "*lite0", "--decoder", "pilow", *store) == 2
    assert "did you mean pillow?" in capsys.readouterr().err
    assert call("run", "*lite0", "--compile", "fast", *store) == 2
    assert "--compile: unknown compile 'fast'" in capsys.readouterr().err
