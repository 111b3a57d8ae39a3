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

from bench.data.preprocess import crop, cropped, decode, geometry, resized_px
from bench.measure.execution import Execution
from bench.plan import Settings
from zoo.entry import Preprocess

PILLOW = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
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


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_without_antialias_pixels_equal_torchvisions_tensor_path(
    photographs: list[Path], interpolation: str
) -> None:
    reference = ImageClassification(
        crop_size=224,
        resize_size=256,
        interpolation=InterpolationMode(interpolation),
        antialias=False,
    )
    ours = _preprocess(interpolation=interpolation, antialias=False)
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


def test_gray_is_decoded_as_pillow_converts(photographs: list[Path]) -> None:
    data = photographs[0].read_bytes()
    gray = _preprocess(channels="gray", mean=(0.5,), std=(0.5,))
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    assert np.array_equal(np.asarray(decode(data, gray)), expected)
    assert crop(decode(data, gray), gray).shape == (224, 224, 1)


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


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    crop_px=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_an_odd_border_or_rest_is_on_torchvisions_side(
    size: tuple[int, int], crop_px: tuple[int, int]
) -> None:
    pixels = np.arange(1, 1 + size[0] * size[1] * 3, dtype=np.uint8).reshape(*size, 3)
    image = Image.fromarray(pixels)
    expected = transforms.CenterCrop(crop_px)(image)
    assert np.array_equal(cropped(image, _preprocess(crop_px=crop_px)), np.asarray(expected))


def test_an_odd_border_is_wider_at_the_right_and_the_bottom() -> None:
    white = Image.new("RGB", (1, 1), (255, 255, 255))
    pixels = cropped(white, _preprocess(crop_px=(2, 4)))
    assert pixels[:, :, 0].tolist() == [[0, 255, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ({"crop_mode": "border", "mean": (0.1, 0.2, 0.3)}, [26, 51, 76]),
        ({"crop_mode": "border", "mean": (0.1, 0.2, 0.3), "channels": "bgr"}, [26, 51, 76]),
        ({"crop_mode": "border", "mean": (10, 20, 30), "scale": 1}, [10, 20, 30]),
        ({"crop_mode": "border", "mean": (0.1,), "std": (1,), "channels": "gray"}, [26]),
        ({"crop_mode": "center", "mean": (0.1, 0.2, 0.3)}, [0, 0, 0]),
    ],
)
def test_a_border_has_the_mean_colour_and_a_centre_crops_is_black(
    override: dict[str, object], expected: list[int]
) -> None:
    preprocess = _preprocess(crop_px=3, **override)
    mode = "L" if preprocess.channels == "gray" else "RGB"
    pixels = cropped(Image.new(mode, (1, 1)), preprocess)
    assert pixels.shape == (3, 3, len(expected))
    assert pixels[0, 0].tolist() == expected


@pytest.mark.parametrize(
    ("mode", "resize_px", "size_px", "expected"),
    [
        ("squash", (20, 30), (100, 400), (20, 30)),
        ("border", (20, 20), (100, 400), (5, 20)),
        ("border", (20, 30), (100, 100), (20, 20)),
        ("center", (20, 20), (100, 400), (20, 80)),
        ("center", (20, 20), (401, 100), (80, 20)),
        ("center", (20, 20), (100, 399), (20, 79)),
        ("center", (20, 30), (100, 100), (30, 30)),
        ("center", (30, 20), (100, 100), (30, 30)),
    ],
)
def test_sizes_after_resizing(
    mode: str, resize_px: tuple[int, int], size_px: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert resized_px(size_px, _preprocess(crop_mode=mode, resize_px=resize_px)) == expected


@pytest.mark.parametrize("interpolation", list(PILLOW))
def test_each_interpolation_is_pillows(interpolation: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    image = Image.fromarray(noise)
    preprocess = _preprocess(
        resize_px=(24, 24), crop_px=(24, 24), crop_mode="squash", interpolation=interpolation
    )
    expected = np.asarray(image.resize((24, 24), PILLOW[interpolation]))
    assert np.array_equal(crop(image, preprocess), expected)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ({}, "resize 256x256 center crop 224x224 bicubic rgb"),
        (
            {"antialias": False, "channels": "bgr"},
            "resize 256x256 center crop 224x224 bicubic no-antialias bgr",
        ),
        (
            {"resize_px": (20, 30), "crop_px": (10, 15), "crop_mode": "border", "mean": (0, 1, 0)},
            "resize 20x30 border crop 10x15 bicubic rgb fill (0, 255, 0)",
        ),
        ({"mean": (0, 0, 0), "std": (1, 1, 1)}, "resize 256x256 center crop 224x224 bicubic rgb"),
        (
            {"crop_mode": "border", "channels": "gray", "mean": (0.1,), "std": (1,)},
            "resize 256x256 border crop 224x224 bicubic gray fill 26",
        ),
    ],
)
def test_the_geometry_names_what_pixels_depend_on(
    override: dict[str, object], expected: str
) -> None:
    assert geometry(_preprocess(**override)) == expected


@given(height=st.integers(10, 3000), width=st.integers(10, 3000), target=st.integers(16, 512))
def test_the_shorter_side_is_resized_as_torchvision_does(
    height: int, width: int, target: int
) -> None:
    image = torch.empty((1, height, width), device="meta")
    expected = transforms.functional.resize(image, [target]).shape[1:]
    assert resized_px((height, width), _preprocess(resize_px=target)) == tuple(expected)
