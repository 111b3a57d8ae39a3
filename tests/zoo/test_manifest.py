"""A wrong manifest is answered with the file, the entry, the field and the choices."""

from pathlib import Path

import pytest

from zoo import manifest
from zoo.errors import ManifestError, UnknownNameError

HEAD = 'schema = 1\n[[entry]]\nname = "a"\n'


def _write(folder: Path, text: str) -> str:
    path = folder / "zoo.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = [", "cannot be read as TOML"),
        ("[[entry]]\nname='a'", "field 'schema': Field required"),
        ("schema = 2\nentry = []", "schema 2 is newer"),
        (HEAD + 'source = "tim"\narchitecture = "b"', "field 'source'.*'timm', 'torchvision'"),
        (HEAD + 'source = "timm"', "entry 'a': field 'architecture': Field required"),
        (HEAD + 'source = "timm"\narchitecture = "b"\nfoo = 1', "field 'foo': no such field"),
        (
            HEAD + 'source = "timm"\narchitecture = "b"\n[entry.weights]\nsha = "1"',
            r"field 'weights\.sha': no such field; fields: .*sha256",
        ),
        (
            HEAD + 'source = "timm"\narchitecture = "b"\n[entry.preprocess]\ncrop_mode = "x"',
            r"field 'preprocess\.crop_mode'.*'center', 'border' or 'squash'",
        ),
        (
            HEAD + 'source = "timm"\narchitecture = "b"\n' * 1 + '[[entry]]\nname = "a"\n'
            'source = "timm"\narchitecture = "b"',
            "entry 'a' stands twice",
        ),
    ],
)
def test_an_error_names_file_entry_and_field(tmp_path: Path, text: str, message: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(ManifestError, match=message) as caught:
        manifest.load(path)
    assert str(caught.value).startswith(path)


def test_an_unknown_key_map_lists_the_known_ones(tmp_path: Path) -> None:
    text = 'schema = 1\n[key_maps.mine]\nrename = []\n[[entry]]\nname = "a"\n'
    text += 'source = "checkpoint"\nlibrary = "timm"\narchitecture = "b"\n'
    text += '[entry.weights]\nfile = "a.pth"\nkey_map = "mime"\n'
    with pytest.raises(UnknownNameError, match=r"weights\.key_map.*did you mean mine"):
        manifest.load(_write(tmp_path, text))


def test_a_checkpoint_lies_beside_its_manifest(tmp_path: Path) -> None:
    text = HEAD + 'source = "checkpoint"\nlibrary = "timm"\narchitecture = "b"\n'
    text += '[entry.weights]\nfile = "a.pth"\n[entry.preprocess]\nresize_px = 256\n'
    text += 'crop_px = 224\ninterpolation = "bicubic"\nmean = [0,0,0]\nstd = [1,1,1]\n'
    entry = manifest.load(_write(tmp_path, text)).entries[0]
    assert entry.weights is not None
    assert entry.weights.file == tmp_path / "a.pth"


def test_entries_are_selected_by_name_glob_and_tag() -> None:
    entries = manifest.load("sample").entries
    assert [e.name for e in manifest.select(entries, ["*lite1"])] == ["efficientnet_lite1"]
    assert manifest.select(entries, ["sample"]) == entries
    with pytest.raises(UnknownNameError, match="did you mean efficientnet_lite0"):
        manifest.select(entries, ["eficientnet_lite0"])


def test_every_embedded_manifest_is_valid() -> None:
    assert "sample" in manifest.embedded()
    for name in manifest.embedded():
        assert manifest.load(name).entries
