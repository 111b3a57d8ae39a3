"""Decoders give the same shapes and refuse the same files; the reference is Pillow's."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import preprocess as reference
from bench.data.decoders import DECODERS, open_decoder
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
    decoder = open_decoder(name, "cpu")
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


def test_what_a_decoder_cannot_do_says_what_can() -> None:
    with pytest.raises(MeasureError, match=r"no 'lanczos' interpolation: use --decoder pillow"):
        _crop("torchvision", _encoded("PNG", "RGB"), _preprocess(interpolation="lanczos"))


def test_an_identity_names_the_library_and_its_release() -> None:
    identities = [open_decoder(name, "cpu").identity for name in DECODERS]
    assert identities[0].startswith(f"pillow {Image.__version__} libjpeg ")  # type: ignore[attr-defined]
    assert identities[1].startswith("torchvision ")
