"""Decoders give the same shapes and refuse the same files; the reference is Pillow's."""

import io
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.data import preprocess as reference
from bench.data.decoders import DECODERS, open_decoder
from bench.data.preprocess import UNREADABLE
from zoo.entry import Preprocess
from zoo.errors import MeasureError


def _preprocess(**override: object) -> Preprocess:
    base = {
        "resize_px": 256,
        "crop_px": 224,
        "interpolation": "bicubic",
        "mean": (0.5,) * 3,
        "std": (0.5,) * 3,
    }
    return Preprocess.model_validate({**base, **override})


GRAY = _preprocess(channels="gray", mean=(0.5,), std=(0.5,))
CHOICES = [
    _preprocess(),
    _preprocess(crop_mode="squash", resize_px=(100, 140), crop_px=(100, 140)),
    _preprocess(crop_mode="border", resize_px=224, mean=(0.4, 0.5, 0.6)),
    _preprocess(channels="bgr", interpolation="bilinear"),
    GRAY,
]


def _crop(name: str, data: bytes, preprocess: Preprocess) -> np.ndarray:
    decoder = open_decoder(name)
    return decoder.crop(decoder.decode(data, preprocess), preprocess)


@pytest.mark.parametrize("preprocess", CHOICES, ids=lambda p: f"{p.crop_mode} {p.channels}")
def test_torchvision_is_pillow_but_for_rounding(
    photographs: list[Path], preprocess: Preprocess
) -> None:
    for path in photographs[:5]:
        data = path.read_bytes()
        ours = _crop("torchvision", data, preprocess)
        theirs = _crop("pillow", data, preprocess)
        assert ours.dtype == np.uint8
        assert ours.shape == theirs.shape == (*preprocess.crop_px, preprocess.input_channels)
        apart = np.abs(ours.astype(int) - theirs)
        # Pillow's gray is made of decoded RGB, torchvision's is the JPEG's own luma.
        assert apart.mean() < (1.5 if preprocess.channels == "gray" else 0.1)


def test_the_reference_is_the_reference(photographs: list[Path]) -> None:
    data = photographs[0].read_bytes()
    expected = reference.crop(reference.decode(data, _preprocess()), _preprocess())
    assert np.array_equal(_crop("pillow", data, _preprocess()), expected)


def _encoded(form: str, mode: str) -> bytes:
    image = Image.effect_mandelbrot((300, 270), (-3, -2.5, 2, 2.5), 100).convert(mode)
    sink = io.BytesIO()
    image.save(sink, form)
    return sink.getvalue()


@pytest.mark.parametrize("name", ["pillow", "torchvision"])
@pytest.mark.parametrize(
    ("form", "mode"),
    [("PNG", "RGB"), ("PNG", "L"), ("PNG", "RGBA"), ("JPEG", "CMYK"), ("GIF", "P")],
)
def test_other_formats_and_colour_modes_are_read(name: str, form: str, mode: str) -> None:
    assert _crop(name, _encoded(form, mode), _preprocess()).shape == (224, 224, 3)


@pytest.mark.parametrize("name", ["pillow", "torchvision"])
@pytest.mark.parametrize("content", ["empty", "cut", "text"])
def test_a_damaged_file_is_an_oserror(name: str, content: str, photographs: list[Path]) -> None:
    whole = photographs[0].read_bytes()
    data = {"empty": b"", "cut": whole[:5000], "text": b"no image"}[content]
    with pytest.raises(OSError):  # noqa: PT011
        _crop(name, data, _preprocess())


def _strip(width: int, height: int) -> bytes:
    sink = io.BytesIO()
    Image.new("L", (width, height)).save(sink, "PNG")
    return sink.getvalue()


def _bomb() -> bytes:
    """A PNG whose header claims 40,000 x 40,000 pixels."""
    data = bytearray(_strip(10, 10))
    data[16:24] = struct.pack(">II", 40_000, 40_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def _jpeg_bomb() -> bytes:
    """A JPEG whose header claims 40,000 x 40,000 pixels."""
    sink = io.BytesIO()
    Image.new("L", (16, 16)).save(sink, "JPEG")
    data = bytearray(sink.getvalue())
    size = data.index(b"\xff\xc0") + 5  # behind the marker, a length and the precision
    data[size : size + 4] = struct.pack(">HH", 40_000, 40_000)
    return bytes(data)


@pytest.mark.parametrize("name", ["pillow", "torchvision"])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (_strip(1, 60_000), "1x60000 px would be resized to 256x15360000 px"),
        (_strip(60_000, 1), "60000x1 px would be resized to 15360000x256 px"),
        (_bomb(), "could be decompression bomb DOS attack"),
        (_jpeg_bomb(), "could be decompression bomb DOS attack"),
    ],
)
def test_a_decompression_bomb_is_refused_before_it_grows(name: str, data: bytes, said: str) -> None:
    with pytest.raises(UNREADABLE, match=said):
        _crop(name, data, _preprocess())


def test_the_bound_of_a_resized_image_is_pillows() -> None:
    assert reference.LARGEST_RESIZED_PX == Image.MAX_IMAGE_PIXELS == 89_478_485
    longest = reference.LARGEST_RESIZED_PX // 256
    assert reference.resized_px((256, longest), _preprocess()) == (256, longest)
    with pytest.raises(Image.DecompressionBombError):
        reference.resized_px((256, longest + 1), _preprocess())


@pytest.mark.parametrize("name", ["pillow", "torchvision"])
def test_only_raster_formats_are_read(name: str) -> None:
    """Pillow would hand PostScript to Ghostscript, whatever the file is called."""
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 72 72\n%%EndComments\nshowpage\n"
    assert Image.open(io.BytesIO(postscript)).format == "EPS"
    with pytest.raises(OSError, match="not an image in a raster format"):
        _crop(name, postscript, _preprocess())
    with pytest.raises(OSError, match="not an image in a raster format"):
        _crop(name, _encoded("PCX", "RGB"), _preprocess())


@pytest.mark.parametrize("name", ["pillow", "torchvision"])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000"])
def test_raster_formats_are_read(name: str, form: str) -> None:
    assert _crop(name, _encoded(form, "RGB"), _preprocess()).shape == (224, 224, 3)


@pytest.mark.parametrize("name", ["pillow", "torchvision"])
def test_of_an_animation_the_first_frame_is_taken(name: str) -> None:
    first = Image.effect_mandelbrot((300, 270), (-3, -2.5, 2, 2.5), 100)
    sinks = io.BytesIO(), io.BytesIO()
    first.save(sinks[0], "GIF")
    first.save(sinks[1], "GIF", save_all=True, append_images=[first.rotate(90)])
    one, animated = (_crop(name, sink.getvalue(), _preprocess()) for sink in sinks)
    assert np.array_equal(one, animated)


def _deep(values: np.ndarray, form: str = "PNG") -> bytes:
    sink = io.BytesIO()
    Image.fromarray(values).save(sink, form)
    return sink.getvalue()


_GRAY8 = np.asarray(Image.effect_mandelbrot((300, 270), (-3, -2.5, 2, 2.5), 100))


@pytest.mark.parametrize("preprocess", [_preprocess(), GRAY], ids=lambda p: p.channels)
def test_formats_other_than_jpeg_are_decoded_by_the_reference(preprocess: Preprocess) -> None:
    decoder = open_decoder("torchvision")
    deep = _deep(_GRAY8.astype(np.uint16) * 257)
    for data in (deep, _encoded("GIF", "P"), _encoded("BMP", "RGB"), _encoded("TIFF", "RGB")):
        expected = np.atleast_3d(np.asarray(reference.decode(data, preprocess)))
        assert np.array_equal(decoder.decode(data, preprocess).permute(1, 2, 0), expected)


def test_pillows_16_bits_are_the_references_and_odd() -> None:
    deep = _deep(_GRAY8.astype(np.uint16) * 257)
    expected = np.asarray(Image.open(io.BytesIO(deep)).convert("RGB"))
    assert np.array_equal(np.asarray(reference.decode(deep, _preprocess())), expected)
    said = reference.oddity(deep)
    assert said is not None
    assert said.startswith("PNG of more than 8 bits (mode I;16), which Pillow clips at 255")


def test_what_is_odd_and_what_is_not(photographs: list[Path]) -> None:
    assert reference.oddity(_deep(_GRAY8.astype(np.float32) / 255, "TIFF")) is not None
    assert reference.oddity(_deep(_GRAY8.astype(np.int32), "TIFF")) is not None
    for form, mode in [("PNG", "RGB"), ("PNG", "L"), ("PNG", "P"), ("JPEG", "CMYK"), ("GIF", "P")]:
        assert reference.oddity(_encoded(form, mode)) is None
    assert reference.oddity(photographs[0].read_bytes()) is None


@pytest.mark.parametrize("name", ["pillow", "torchvision"])
@given(where=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=20))
@settings(max_examples=60)
def test_damage_of_any_kind_gives_pixels_or_a_bad_image(
    name: str, where: list[tuple[float, int]]
) -> None:
    for form in ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "JPEG2000"):
        data = bytearray(_small(form))
        for share, byte in where:
            data[int(share * (len(data) - 1))] = byte
        try:
            pixels = _crop(name, bytes(data), _preprocess())
        except UNREADABLE:
            continue
        assert pixels.shape == (224, 224, 3)


@cache
def _small(form: str) -> bytes:
    sink = io.BytesIO()
    Image.effect_mandelbrot((30, 27), (-3, -2.5, 2, 2.5), 100).convert("RGB").save(sink, form)
    return sink.getvalue()


def test_what_a_decoder_cannot_do_says_what_can() -> None:
    with pytest.raises(MeasureError, match=r"no 'lanczos' interpolation: use --decoder pillow"):
        _crop("torchvision", _encoded("PNG", "RGB"), _preprocess(interpolation="lanczos"))


def test_an_identity_names_the_library_and_its_release() -> None:
    identities = [open_decoder(name).identity for name in DECODERS]
    assert identities[0].startswith(f"pillow {Image.__version__} libjpeg ")  # type: ignore[attr-defined]
    assert identities[1].startswith("torchvision ")
