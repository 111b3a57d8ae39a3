"""An image is decoded once; where its pixels come from, and how it is batched, change no bit."""

import os
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.dataset import open_dataset
from bench.data.decoders.pillow import PillowDecoder
from bench.data.pixel_cache import PixelCache, default_folder
from bench.data.preprocess import crop, decode
from bench.measure import Result, Row, accuracy, evaluation, lanes
from bench.measure.pixels import LoadedImage, open_source
from bench.measure.stage_timer import StageTimer
from bench.plan import Job, Settings
from bench.records import Accuracy, EndToEnd
from tests.bench.data.miniatures import LAYOUTS, photographs_of
from zoo import build
from zoo.entry import Entry, Preprocess


@pytest.fixture(autouse=True)
def _fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _row(
    entry: Entry,
    data: str = "sample",
    batch: int = 8,
    cache_bytes: int | None = None,
    also: tuple[Preprocess, ...] = (),
    told: list[str] | None = None,
) -> Row:
    job = Job(
        entry=entry,
        figures=("top1",),
        settings=Settings(batch_size=batch),
        store="unused",
        data=data,
        labels="imagenet",
        limit=None,
        retry_failed=False,
        cache_bytes=cache_bytes,
        also=also,
    )
    tell = (lambda text: None) if told is None else told.append
    return Row(job, "cpu", "a processor", lambda done, total, unit: None, tell)


def _load(row: Row) -> tuple[np.ndarray, list[LoadedImage], str]:
    """Return the pixels of a row's images, what is known of them, and where they came from."""
    total = len(row.dataset)
    pixels = np.ones((total, *row.preprocess.crop_px, 3), np.uint8)
    known = []
    with open_source(row, range(total)) as source:
        for first in range(0, total, 8):
            indices = range(first, min(first + 8, total))
            loaded = source.loader.load(indices, pixels[first : indices.stop], StageTimer())
            source.note(indices, loaded)
            known += loaded
    return pixels, known, source.kind


def _bad(known: list[LoadedImage]) -> list[tuple[int, str]]:
    return [(index, image.reason) for index, image in enumerate(known) if image.reason is not None]


def test_odd_images_are_named_from_files_and_from_the_cache(
    lite0: Entry, class_folders: Path
) -> None:
    deep = np.full((300, 300), 2**15, np.uint16)
    Image.fromarray(deep).save(min(class_folders.iterdir()) / "deep.png")
    for expected in ("files", "cache"):
        _, known, kind = _load(_row(lite0, str(class_folders)))
        assert kind == expected
        odd = [image.odd for image in known if image.odd is not None]
        assert ["8 bits" in text for text in odd] == [True]
        assert _bad(known) == []


def _evidence(result: Result) -> Accuracy:
    assert isinstance(result.evidence, Accuracy)
    return result.evidence


def _timed(result: Result) -> EndToEnd:
    timed = _evidence(result).end_to_end
    assert timed is not None
    return timed


def test_batch_lanes_and_cache_change_no_bit_of_the_predictions(
    lite0: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "_MIN_BATCHES_PER_LANE", 0)  # nothing is timed here
    files, kinds = set(), []
    for batch, count, cache in [(1, 1, 0), (7, 2, 0), (32, 2, None), (1, 1, None), (32, 2, None)]:
        monkeypatch.setattr(lanes, "cores", lambda count=count: count)
        result = accuracy.run(_row(lite0, batch=batch, cache_bytes=cache))
        files.add(result.predictions)
        kinds.append(_timed(result).pixels)
        assert _timed(result).lanes == count
        assert _evidence(result).forward_batch == evaluation.FORWARD_BATCH["cpu"]
    assert kinds == ["files", "files", "files", "cache", "cache"]
    assert len(files) == 1


def test_other_geometries_come_from_the_same_decode(
    lite_entries: tuple[Entry, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    others = tuple(build.preprocess(entry) for entry in lite_entries[1:])
    decoded = []
    plain = PillowDecoder.decode
    monkeypatch.setattr(PillowDecoder, "decode", lambda *args: decoded.append(1) or plain(*args))
    _load(_row(lite_entries[0], also=others))
    for entry in lite_entries:
        row = _row(entry)
        pixels, _, kind = _load(row)
        assert kind == "cache"
        expected = crop(decode(row.dataset.read(3), row.preprocess), row.preprocess)
        assert np.array_equal(pixels[3], expected)
    assert len(decoded) == 20


def test_entries_that_differ_in_their_normalisation_share_pixels(lite0: Entry) -> None:
    _load(_row(lite0))
    override = {**lite0.preprocess, "mean": (0.4, 0.4, 0.4), "std": (0.2, 0.2, 0.2)}
    assert _load(_row(lite0.model_copy(update={"preprocess": override})))[2] == "cache"
    override = {**lite0.preprocess, "resize_px": (260, 260)}
    assert _load(_row(lite0.model_copy(update={"preprocess": override})))[2] == "files"


def test_a_bad_image_is_bad_from_the_cache_too(lite0: Entry, class_folders: Path) -> None:
    (next(class_folders.iterdir()) / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    pixels, first, kind = _load(_row(lite0, str(class_folders)))
    again, second, kind_again = _load(_row(lite0, str(class_folders)))
    assert (kind, kind_again) == ("files", "cache")
    assert np.array_equal(pixels, again)
    assert _bad(first) == _bad(second)
    assert len(_bad(first)) == 1
    assert not pixels[_bad(first)[0][0]].any()
    assert [image.sha256 for image in first] == [image.sha256 for image in second]


def test_a_file_that_could_not_be_opened_is_not_remembered(
    lite0: Entry, class_folders: Path
) -> None:
    folder = next(class_folders.iterdir())
    picture = next(folder.iterdir())
    link = folder / "link.jpg"
    link.symlink_to(picture)
    row = _row(lite0, str(class_folders), told=(told := []))
    assert len(row.dataset) == 21  # listed while it was there
    link.unlink()
    assert len(_bad(_load(row)[1])) == 1
    assert "link.jpg: FileNotFoundError" in told[0]
    assert PixelCache(default_folder()).files() == []


def test_a_file_that_changed_and_kept_its_size_is_decoded_again(
    lite0: Entry, class_folders: Path
) -> None:
    _load(_row(lite0, str(class_folders)))
    pictures = sorted(class_folders.glob("*/*"))
    content = pictures[0].read_bytes()
    pictures[0].write_bytes(content[:-10] + bytes(10))
    os.utime(pictures[0], ns=(1, 1))
    assert _load(_row(lite0, str(class_folders)))[2] == "files"
    assert _load(_row(lite0, str(class_folders)))[2] == "cache"


def test_pixels_of_another_row_cost_this_one_nothing(lite0: Entry, class_folders: Path) -> None:
    narrow = next(class_folders.iterdir()) / "narrow.png"
    Image.new("RGB", (900, 1)).save(narrow)
    override = {**lite0.preprocess, "crop_mode": "border"}
    bordered = lite0.model_copy(update={"preprocess": override})
    data = str(class_folders)
    plain = _load(_row(lite0, data, also=(build.preprocess(bordered),)))[1]
    assert _bad(plain) == []
    _, alone, kind = _load(_row(bordered, data, cache_bytes=0))
    assert kind == "files"
    _, cached, kind = _load(_row(bordered, data))
    assert kind == "cache"
    assert len(_bad(alone)) == 1  # the border would be 0 pixels high
    assert _bad(cached) == _bad(alone)


def test_a_file_put_back_with_its_old_time_is_decoded_again(
    lite0: Entry, class_folders: Path
) -> None:
    _load(_row(lite0, str(class_folders)))
    path = sorted(class_folders.glob("*/*"))[0]
    modified = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes()[:-10] + bytes(10))
    os.utime(path, ns=(modified, modified))  # as tar and rsync do
    assert _load(_row(lite0, str(class_folders)))[2] == "files"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_written_again_are_decoded_again_in_every_layout(
    layout: str, lite0: Entry, tmp_path: Path
) -> None:
    photographs = photographs_of(open_dataset("sample", labels="imagenet", limit=4))
    data = LAYOUTS[layout](tmp_path / "data", photographs)
    kinds = [_load(_row(lite0, str(data)))[2] for _ in range(2)]
    for path in (tmp_path / "data").rglob("*"):
        os.utime(path, ns=(1, 1))
    kinds.append(_load(_row(lite0, str(data)))[2])
    assert kinds == ["files", "cache", "files"]


def test_pixels_of_another_preprocessing_code_are_not_taken(
    lite0: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    _load(_row(lite0))

    class Edited(PillowDecoder):
        """As if its file had been changed."""

    monkeypatch.setattr("bench.data.decoders.pillow.PillowDecoder", Edited)
    assert _load(_row(lite0))[2] == "files"
    assert _load(_row(lite0))[2] == "cache"


def test_damaged_pixels_are_decoded_again_and_the_row_is_whole(
    lite0: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "_MIN_BATCHES_PER_LANE", 0)
    whole = accuracy.run(_row(lite0)).predictions
    (file,) = default_folder().iterdir()
    content = bytearray(file.read_bytes())
    content[1_000_000] ^= 1
    file.write_bytes(content)
    told: list[str] = []
    result = accuracy.run(_row(lite0, told=told))
    assert result.predictions == whole
    assert _timed(result).pixels == "files"
    assert ["removed; decoding again" in text for text in told] == [True]
    assert _timed(accuracy.run(_row(lite0))).pixels == "cache"


def test_without_room_the_row_goes_on_and_it_is_told(lite0: Entry) -> None:
    told: list[str] = []
    pixels, _, kind = _load(_row(lite0, cache_bytes=1000, told=told))
    assert (len(pixels), kind) == (20, "files")
    assert len(told) == 1
    assert "decoded pixels are not kept" in told[0]
    assert "larger --cache-size" in told[0]


def test_a_disk_that_fills_up_costs_the_file_and_not_the_row(lite0: Entry) -> None:
    told: list[str] = []
    row = _row(lite0, told=told)
    pixels = np.empty((20, *row.preprocess.crop_px, 3), np.uint8)
    with open_source(row, range(20)) as source:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 * pixels[0].nbytes, hard))
        try:
            loaded = source.loader.load(range(20), pixels, StageTimer())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        source.note(range(20), loaded)
    assert _bad(loaded) == []
    assert "decoded pixels were not kept" in told[0]
    assert "File too large" in told[0]
    assert PixelCache(default_folder()).files() == []


def test_a_size_of_0_touches_no_cache(lite0: Entry) -> None:
    _load(_row(lite0, cache_bytes=0))
    assert not default_folder().exists()


def test_a_pass_that_fails_leaves_no_pixels(lite0: Entry) -> None:
    def half() -> None:
        with open_source(row, range(20)) as source:
            pixels = np.empty((8, *row.preprocess.crop_px, 3), np.uint8)
            source.note(range(8), source.loader.load(range(8), pixels, StageTimer()))
            raise RuntimeError

    row = _row(lite0)
    with pytest.raises(RuntimeError):
        half()
    assert list(default_folder().iterdir()) == []


def test_memory_does_not_grow_with_the_dataset(
    lite0: Entry, tmp_path: Path, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading 40 MB of cached pixels holds a few batches of 1.2 MB at a time."""
    folder = tmp_path / "many" / "n01440764"
    folder.mkdir(parents=True)
    for number in range(256):
        shutil.copy(photographs[number % 4], folder / f"{number:04}.jpg")
    _load(_row(lite0, str(folder.parent)))
    row = _row(lite0, str(folder.parent))
    with open_source(row, range(256)) as source:
        assert source.kind == "cache"
        resident = []
        pixels = np.empty((8, *row.preprocess.crop_px, 3), np.uint8)
        for first in range(0, 256, 8):
            pixels[:] = 0
            source.loader.load(range(first, first + 8), pixels, StageTimer())
            assert pixels.sum() > 0
            resident.append(_resident_bytes())
    assert resident[-1] - resident[0] < 8_000_000


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
