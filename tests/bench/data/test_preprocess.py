"""Pixels are those of the transforms that made the published figures, to the bit."""

import io
from pathlib import Path

import numpy as np
import pytest
import timm.data
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms
from torchvision.transforms._presets import ImageClassification
from torchvision.transforms.functional import InterpolationMode

from bench.data.preprocess import crop, decode, resized_px
from bench.measure.execution import Execution
from bench.plan import Settings
from zoo.entry import Preprocess

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _preprocess(**override: object) -> Preprocess:
    base = {"resize_px": 256, "crop_px": 224, "interpolation": "bicubic", "mean": MEAN, "std": STD}
    return Preprocess.model_validate({**base, **override})


def _tensor(data: bytes, preprocess: Preprocess) -> torch.Tensor:
    execution = Execution(torch.nn.Identity(), Settings(), "cpu")
    pixels = np.array(crop(decode(data, preprocess), preprocess)[None])
    return execution.place(pixels, preprocess)[0]


@pytest.mark.parametrize("mode", ["center", "border", "squash"])
@pytest.mark.parametrize(("size", "ratio"), [(224, 0.875), (240, 0.95), (260, 1.0)])
def test_pixels_equal_timms(photographs: list[Path], mode: str, size: int, ratio: float) -> None:
    reference = timm.data.create_transform(
        input_size=(3, size, size),
        interpolation="bicubic",
        mean=MEAN,
        std=STD,
        crop_pct=ratio,
        crop_mode=mode,
    )
    ours = _preprocess(resize_px=int(size / ratio), crop_px=size, crop_mode=mode)
    for path in photographs[:8]:
        expected = reference(Image.open(path).convert("RGB"))
        assert torch.equal(_tensor(path.read_bytes(), ours), expected)


@pytest.mark.parametrize("size", [(192, 256), (320, 224)])
def test_a_crop_that_is_no_square_equals_timms(
    photographs: list[Path], size: tuple[int, int]
) -> None:
    reference = timm.data.create_transform(
        input_size=(3, *size), interpolation="bilinear", mean=MEAN, std=STD, crop_pct=0.9
    )
    resize = tuple(int(px / 0.9) for px in size)
    ours = _preprocess(resize_px=resize, crop_px=size, interpolation="bilinear")
    for path in photographs[:4]:
        expected = reference(Image.open(path).convert("RGB"))
        assert torch.equal(_tensor(path.read_bytes(), ours), expected)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_pixels_equal_torchvisions(photographs: list[Path], interpolation: str) -> None:
    mode = InterpolationMode(interpolation)
    reference = ImageClassification(crop_size=224, resize_size=232, interpolation=mode)
    ours = _preprocess(resize_px=232, interpolation=interpolation)
    for path in photographs:
        assert torch.equal(_tensor(path.read_bytes(), ours), reference(Image.open(path)))


def test_an_image_smaller_than_the_crop_is_padded_as_torchvision_pads() -> None:
    image = Image.effect_mandelbrot((60, 90), (-3, -2.5, 2, 2.5), 100).convert("RGB")
    reference = transforms.Compose([transforms.Resize(50), transforms.CenterCrop(64)])
    ours = crop(image, _preprocess(resize_px=50, crop_px=64, interpolation="bilinear"))
    assert np.array_equal(ours, np.asarray(reference(image)))


def test_without_antialias_pixels_equal_torchvisions_tensor_path(photographs: list[Path]) -> None:
    reference = ImageClassification(crop_size=224, resize_size=256, antialias=False)
    ours = _preprocess(interpolation="bilinear", antialias=False, mean=MEAN, std=STD)
    image = Image.open(photographs[0]).convert("RGB")
    expected = reference(transforms.functional.pil_to_tensor(image))
    assert torch.equal(_tensor(photographs[0].read_bytes(), ours), expected)


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("1", "PNG")]
)
def test_odd_colour_modes_load_as_pillow_converts(
    photographs: list[Path], mode: str, kind: str
) -> None:
    data = _encoded(Image.open(photographs[1]).convert("RGB").convert(mode), kind)
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    assert np.array_equal(np.asarray(decode(data, _preprocess())), np.asarray(expected))


def test_exif_rotation_is_left_alone(photographs: list[Path]) -> None:
    """timm and torchvision ignore it, and so did the published figures."""
    image = Image.open(photographs[0]).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by a quarter
    data = _encoded(image, "JPEG", exif=exif, quality=95)
    assert decode(data, _preprocess()).size == image.size


def test_bgr_is_rgb_backwards_and_scale_1_keeps_bytes(photographs: list[Path]) -> None:
    data = photographs[0].read_bytes()
    zero, one = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    rgb = _tensor(data, _preprocess(scale=1, mean=zero, std=one))
    bgr = _tensor(data, _preprocess(scale=1, mean=zero, std=one, channels="bgr"))
    assert torch.equal(bgr, rgb.flip(0))
    assert rgb.max() > 100


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_what_is_no_image_raises(photographs: list[Path], damage: str) -> None:
    whole = photographs[0].read_bytes()
    data = {"truncated": whole[: len(whole) // 2], "text": b"not an image", "empty": b""}[damage]
    with pytest.raises(OSError, match=r"truncated|^not an image in a raster format"):
        decode(data, _preprocess())


@given(height=st.integers(10, 3000), width=st.integers(10, 3000), target=st.integers(16, 512))
def test_the_shorter_side_is_resized_as_torchvision_does(
    height: int, width: int, target: int
) -> None:
    image = torch.empty((1, height, width), device="meta")
    expected = transforms.functional.resize(image, [target]).shape[1:]
    assert resized_px((height, width), _preprocess(resize_px=target)) == tuple(expected)
