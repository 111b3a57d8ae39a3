"""A file that is not weights is called what it is, with the way to the weights."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import WeightsError
from zoo.file_format import format_of

LFS = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 102530333\n"
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty; fetch"),
        (b"\x00" * 1000, "the file is all zeros; fetch"),
        (LFS, "a Git LFS pointer; run: git lfs pull"),
        (b"<!DOCTYPE html><html>Virus scan warning</html>", "an HTML page: .*Virus"),
        (b"\n  <html><head>", "an HTML page"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Error/>', "an XML document"),
        (b"<Error><Code>AccessDenied</Code></Error>", "an XML document: .*AccessDenied"),
        (b'{"error":"Repository not found"}', "a JSON document: .*Repository not found"),
        (b'{"error":"' + b"x" * 1000, "a JSON document"),
        (b"Entry not found", "text: 'Entry not found'"),
        (gzip.compress(b"x" * 100), "compressed by gzip; unpack"),
        (bz2.compress(b"x" * 100), "compressed by bzip2; unpack"),
        (lzma.compress(b"x" * 100), "compressed by xz; unpack"),
        (b"\x89HDF\r\n\x1a\n" + b"\x00" * 20, r"an HDF5 file \(Keras\)"),
        (b"\x08\x08\x12\x07pytorch\x1a\x052.9.0", "an ONNX model"),
        (b"GGUF\x03\x00\x00\x00", "a GGUF file"),
        (b"\x1c\x00\x00\x00TFL3\x14\x00", "a TensorFlow Lite file"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "unknown: it begins with ff d8 ff e0"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_a_file_is(tmp_path: Path, content: bytes, message: str, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        format_of(file)
    assert "\n" not in str(caught.value)


def test_archives_are_distinguished(tmp_path: Path) -> None:
    script, arrays, other, tar = (tmp_path / name for name in ("a.pt", "b.pth", "c.pth", "d.pth"))
    with zipfile.ZipFile(script, "w") as archive:
        for name in ("a/data.pkl", "a/code/__torch__.py", "a/constants.pkl"):
            archive.writestr(name, b"")  # as torch.jit.save lays it out
    with arrays.open("wb") as stream:
        np.savez(stream, a=np.zeros(2))
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("weights.pth", b"x")
    with tarfile.open(tar, "w") as tape:
        tape.add(other, "weights.pth")
    for file, what in (
        (script, "a TorchScript archive, which is code"),
        (arrays, "an archive of NumPy arrays"),
        (other, "a zip archive; unpack"),
        (tar, "a tar archive; unpack"),
    ):
        with pytest.raises(WeightsError, match=what):
            format_of(file)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        format_of(tmp_path / "none.pth")


@given(content=st.binary(max_size=600))
def test_any_bytes_are_a_format_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.mktemp("bytes") / "a.pth"
    file.write_bytes(content)
    try:
        answer: str = format_of(file)
    except WeightsError as error:
        answer = str(error)
    assert "\n" not in answer
