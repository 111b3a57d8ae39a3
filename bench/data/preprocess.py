"""From an encoded image to the crop that the network sees, with Pillow's decoder and resampling.

The arithmetic of sizes and offsets is torchvision's and timm's, whose transforms made the published
figures; tests compare the pixels with theirs, to the bit.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from zoo.entry import Preprocess
from zoo.errors import MeasureError, with_type

Pixels = NDArray[np.uint8]

# What Pillow raises for an image that is none, is damaged, or is absurdly large.
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)

# Formats that Pillow decodes by itself. PostScript, for one, would be run by Ghostscript.
_RASTER = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")
# Pixels of a resized image before the crop: a quarter of a gigabyte in RGB, the size from which
# Pillow warns of a decompression bomb. A strip of 1x60000 px would become one of 256x15360000 px.
LARGEST_RESIZED_PX = 1024**3 // 4 // 3

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}


def check_takes_photographs(preprocess: Preprocess) -> None:
    """Raise MeasureError if a network takes channels that no photograph has."""
    if not preprocess.takes_photographs:
        raise MeasureError(
            f"a photograph does not have {preprocess.input_channels} channels: parameters, MACs "
            "and speed can be measured, predictions cannot"
        )


def decode(data: bytes, preprocess: Preprocess) -> Image.Image:
    """Decode to RGB (or gray) by Pillow; EXIF rotation is left alone, as the references do.

    Raises:
        OSError, ValueError, SyntaxError, DecompressionBombError: as ``open_raster``.
    """
    with open_raster(data) as image:
        return image.convert("L" if preprocess.channels == "gray" else "RGB")


@contextmanager
def open_raster(data: bytes) -> Iterator[Image.Image]:
    """Yield an encoded image, of which only the header is read yet.

    Raises:
        OSError, ValueError, SyntaxError, DecompressionBombError: the data is truncated, is not an
            image in one of the raster formats, or is absurdly large; also in the body.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged EXIF, palette transparency: the pixels are there
        try:
            with Image.open(io.BytesIO(data), formats=_raster_formats()) as image:
                yield image
        except UnidentifiedImageError:  # Pillow's words name a buffer's address, another each time
            raise UnidentifiedImageError("not an image in a raster format that is read") from None
        except UNREADABLE:
            raise
        except Exception as error:  # Pillow's plugins raise all sorts for a damaged file
            raise OSError(with_type(error)) from error


@cache
def _raster_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _RASTER if name in Image.OPEN)  # AVIF is new in Pillow 11.3


def is_jpeg(data: bytes) -> bool:
    """Return whether an encoded image is a JPEG, by its first bytes."""
    return data.startswith(b"\xff\xd8\xff")


def oddity(data: bytes) -> str | None:
    """Return what is odd about a readable image, whose pixels are not what they seem; or None.

    The reference converts by ``convert("RGB")``, which clips values of more than 8 bits.
    """
    if is_jpeg(data):
        return None
    with open_raster(data) as image:
        if not image.mode.startswith(("I", "F")):
            return None
        return (
            f"{image.format} of more than 8 bits (mode {image.mode}), which Pillow clips at 255, "
            "so that it turns white, or black if it is of fractions: convert it to 8 bits"
        )


def crop(image: Image.Image, preprocess: Preprocess) -> Pixels:
    """Resize and crop. Returns (height, width, channels) of uint8."""
    height, width = resized_px((image.height, image.width), preprocess)
    return cropped(_resize(image, (height, width), preprocess), preprocess)


def cropped(image: Image.Image, preprocess: Preprocess) -> Pixels:
    """Crop a resized image. Returns (height, width, channels) of uint8, in the order asked for."""
    pixels = np.asarray(_center_crop(image, preprocess))
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return pixels[:, :, ::-1] if preprocess.channels == "bgr" else pixels


def geometry(preprocess: Preprocess) -> str:
    """Return one line that names all that pixels depend on: equal lines mean equal pixels.

    ``mean``, ``std`` and ``scale`` come after; only a border is filled with the mean colour.
    """
    fill = f" fill {_fill(preprocess)}" if preprocess.crop_mode == "border" else ""
    resize, crop = ("x".join(map(str, size)) for size in (preprocess.resize_px, preprocess.crop_px))
    return (
        f"resize {resize} {preprocess.crop_mode} crop {crop} {preprocess.interpolation}"
        f"{'' if preprocess.antialias else ' no-antialias'} {preprocess.channels}{fill}"
    )


def resized_px(size_px: tuple[int, int], preprocess: Preprocess) -> tuple[int, int]:
    """Return the (height, width) to which an image of (height, width) is resized.

    Raises:
        DecompressionBombError: it would have more than ``LARGEST_RESIZED_PX``.
    """
    resized = _resized_px(size_px, preprocess)
    if resized[0] * resized[1] > LARGEST_RESIZED_PX:
        before, after = (f"{width}x{height}" for height, width in (size_px, resized))
        raise Image.DecompressionBombError(
            f"{before} px would be resized to {after} px, more than {LARGEST_RESIZED_PX:,} pixels"
        )
    return resized


def _resized_px(size_px: tuple[int, int], preprocess: Preprocess) -> tuple[int, int]:
    height, width = size_px
    target_h, target_w = preprocess.resize_px
    if preprocess.crop_mode == "squash":
        return target_h, target_w
    ratios = height / target_h, width / target_w
    if preprocess.crop_mode == "border":
        return round(height / max(ratios)), round(width / max(ratios))
    if target_h != target_w:
        return round(height / min(ratios)), round(width / min(ratios))
    # torchvision's Resize(int): the shorter side exactly, the longer one rounded down.
    if height <= width:
        return target_h, int(target_h * width / height)
    return int(target_h * height / width), target_h


def _resize(image: Image.Image, size_px: tuple[int, int], preprocess: Preprocess) -> Image.Image:
    height, width = size_px
    if (image.height, image.width) == (height, width):
        return image
    if not preprocess.antialias:
        return _resize_without_antialias(image, size_px, preprocess.interpolation)
    return image.resize((width, height), _RESAMPLING[preprocess.interpolation])


def _resize_without_antialias(
    image: Image.Image, size_px: tuple[int, int], interpolation: str
) -> Image.Image:
    """Resize as torchvision does for tensors with ``antialias=False``; Pillow has no such mode."""
    from torchvision.transforms.functional import InterpolationMode, pil_to_tensor, to_pil_image
    from torchvision.transforms.functional import resize as resize_tensor

    mode = InterpolationMode(interpolation)
    tensor = resize_tensor(pil_to_tensor(image), list(size_px), mode, antialias=False)
    return to_pil_image(tensor)


def _center_crop(image: Image.Image, preprocess: Preprocess) -> Image.Image:
    """Cut the middle out; what is too small gets a border, in the mean colour for ``border``."""
    crop_h, crop_w = preprocess.crop_px
    missing_h, missing_w = max(crop_h - image.height, 0), max(crop_w - image.width, 0)
    if missing_h or missing_w:
        border = (missing_w // 2, missing_h // 2, (missing_w + 1) // 2, (missing_h + 1) // 2)
        image = ImageOps.expand(image, border, _fill(preprocess))
    top = round((image.height - crop_h) / 2)
    left = round((image.width - crop_w) / 2)
    return image.crop((left, top, left + crop_w, top + crop_h))


def _fill(preprocess: Preprocess) -> int | tuple[int, ...]:
    if preprocess.crop_mode != "border":
        return 0
    unit = 255 if preprocess.scale != 1 else 1
    fill = tuple(round(unit * value) for value in preprocess.mean)
    if preprocess.channels == "bgr":
        fill = fill[::-1]
    return fill[0] if len(fill) == 1 else fill
