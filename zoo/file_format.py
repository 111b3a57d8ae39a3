"""What a file of weights really is, by its first bytes: downloads fail in many ways."""

import json
import zipfile
from pathlib import Path
from typing import Literal

from zoo.errors import WeightsError

Format = Literal["pytorch", "safetensors"]

_HEAD_BYTES = 512
_SHOWN = 60
_FETCH = "fetch the weights again"
_WEB = "the server answered with it: open the address in a browser, and fetch the file itself"
_UNPACK = "unpack it first"
# (first bytes, what such a file is, what to do)
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer", "run: git lfs pull"),
    (b"\x1f\x8b", "compressed by gzip", _UNPACK),
    (b"BZh", "compressed by bzip2", _UNPACK),
    (b"\xfd7zXZ", "compressed by xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"\x89HDF", "an HDF5 file (Keras)", "convert it to PyTorch"),
    (b"\x93NUMPY", "a NumPy array", "convert it to PyTorch"),
    (b"GGUF", "a GGUF file", "convert it to PyTorch"),
)
_ONNX_FIELDS = b"\x12\x1a\x22\x2a\x32\x3a\x42"


def format_of(file: Path) -> Format:
    """Return the format of a file of weights, whatever its suffix.

    Raises:
        WeightsError: it is something else; says what, and how to get the weights.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read: {error.strerror}") from None
    if _is_safetensors(head, size):
        return "safetensors"
    if head.startswith(b"PK"):
        return _pytorch_archive(file)
    if head.startswith(b"\x80"):
        return "pytorch"  # a pickle, as torch.save wrote before 1.6
    what, remedy = _other(head)
    raise WeightsError(f"{file}: cannot be read as weights: the file is {what}; {remedy}")


def _is_safetensors(head: bytes, size: int) -> bool:
    header_bytes = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= header_bytes <= size - 8


def _pytorch_archive(file: Path) -> Format:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        raise WeightsError(
            f"{file}: cannot be read as weights: the file is a damaged or incomplete archive; "
            f"{_FETCH}"
        ) from None
    if any(name.endswith("/constants.pkl") for name in names):
        what, remedy = "a TorchScript archive, which is code", "save model.state_dict() instead"
    elif any(name.endswith("data.pkl") for name in names):
        return "pytorch"
    elif any(name.endswith(".npy") for name in names):
        what, remedy = "an archive of NumPy arrays (.npz)", "convert it to PyTorch"
    else:
        what, remedy = "a zip archive", _UNPACK
    raise WeightsError(f"{file}: cannot be read as weights: the file is {what}; {remedy}")


def _other(head: bytes) -> tuple[str, str]:
    """Return what a file that is neither format is, and what to do about it."""
    if not head.strip(b"\x00"):
        return ("empty" if not head else "all zeros"), _FETCH
    for signature, what, remedy in _SIGNATURES:
        if head.startswith(signature):
            return what, remedy
    if head[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite file", "convert it to PyTorch"
    if head[0] == 0x08 and head[2:3] in _ONNX_FIELDS:
        return "an ONNX model", "give the PyTorch weights that it was made from"
    return _text(head)


def _text(head: bytes) -> tuple[str, str]:
    try:
        text = head.decode("utf-8", errors="strict" if len(head) < _HEAD_BYTES else "ignore")
    except UnicodeDecodeError:
        text = ""
    if not text or not all(char.isprintable() or char in "\r\n\t\ufeff" for char in text):
        return f"unknown: it begins with {head[:8].hex(' ')}", _FETCH
    text = text.lstrip("\ufeff \r\n\t")
    shown = " ".join(text.split())[:_SHOWN]
    low = text.lower()
    if low.startswith(("<!doctype html", "<html")):
        return f"an HTML page: {shown!r}", _WEB
    if low.startswith("<"):
        return f"an XML document: {shown!r}", _WEB
    if text[:1] in "{[" and _is_json(text, len(head)):
        return f"a JSON document: {shown!r}", _WEB
    return f"text: {shown!r}", _FETCH


def _is_json(text: str, head_bytes: int) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return head_bytes == _HEAD_BYTES  # cut off
    return True
