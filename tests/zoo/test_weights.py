"""Weights run no code, are what the manifest says, and are found where scripts put them."""

import argparse
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from zoo import build
from zoo.entry import Entry
from zoo.errors import WeightsError
from zoo.sources.unpickle import LeftOut, unpickle
from zoo.weights import StateDict, load_checkpoint, sha256_of

EMA = {"weight": torch.zeros(2)}
RAW = {"weight": torch.ones(2)}


def saved(folder: Path, content: object) -> Path:
    file = folder / "a.pth"
    torch.save(content, file)
    return file


class _Payload:
    """Unpickling this writes a file: what an attacker's checkpoint could do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_runs_none(
    tmp_path: Path, zipped: bool
) -> None:
    victim = tmp_path / "victim"
    file = tmp_path / "evil.pth"
    content = {"weight": torch.zeros(1), "extra": _Payload(victim)}
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"refused: it contains (_?io\.)?open"):
        load_checkpoint(file)
    assert not victim.exists()


def test_a_pickled_module_is_refused_by_the_names_of_its_types(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"contains torch\.nn\.modules\.linear\.Linear, .*code"):
        load_checkpoint(saved(tmp_path, nn.Linear(2, 2)))


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors"])
def test_a_damaged_file_is_one_line(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"PK\x03\x04 this is no archive")
    with pytest.raises(WeightsError, match="damaged or incomplete archive") as caught:
        load_checkpoint(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [100, 1000, 3000])
def test_a_cut_file_is_one_line(tmp_path: Path, size: int) -> None:
    file = saved(tmp_path, {"weight": torch.zeros(1000)})
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(WeightsError, match="damaged or incomplete") as caught:
        load_checkpoint(file)
    assert "\n" not in str(caught.value)


def test_a_plain_python_pickle_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "list.pth"
    file.write_bytes(pickle.dumps([1, 2, 3], protocol=2))
    with pytest.raises(WeightsError):
        load_checkpoint(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "contains a list, not a state dict"),
        ({}, "contains nothing"),
        ({"epoch": 3, "loss": 0.5}, "contains epoch, loss, not a state dict"),
        ({"optimizer": {"state": {0: {"exp_avg": torch.zeros(1)}}}}, "contains optimizer, not"),
        (argparse.Namespace(lr=0.1), r"contains a argparse\.Namespace"),
    ],
)
def test_a_file_without_a_state_dict_is_described(
    tmp_path: Path, content: object, message: str
) -> None:
    with pytest.raises(WeightsError, match=message):
        load_checkpoint(saved(tmp_path, content))


def test_other_values_than_tensors_are_named_with_their_type(tmp_path: Path) -> None:
    content = {"weight": torch.zeros(1), "epoch": 3}
    with pytest.raises(WeightsError, match=r"epoch \(int\) are not tensors; .*weights\.drop"):
        load_checkpoint(saved(tmp_path, content)).tensors("here")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "safetensors.pth", "torch.safetensors"])
def test_the_content_decides_the_format(tmp_path: Path, name: str) -> None:
    tensors = {"weight": torch.arange(6.0).reshape(2, 3)}
    if name in ("a.pth", "torch.safetensors"):
        torch.save({"state_dict": tensors}, tmp_path / name)
    else:
        save_file(tensors, tmp_path / name)
    checkpoint = load_checkpoint(tmp_path / name)
    assert torch.equal(checkpoint.values["weight"], tensors["weight"])
    assert (name == "safetensors.pth") == any("safetensors" in n for n in checkpoint.notes)


@pytest.mark.parametrize(
    ("content", "taken", "note"),
    [
        ({"state_dict": RAW, "state_dict_ema": EMA}, EMA, "EMA weights from 'state_dict_"),
        ({"model": RAW, "model_ema": EMA}, EMA, r"EMA weights from .* \(not 'model'\)$"),
        ({"model_ema": EMA}, EMA, "EMA weights"),
        ({"model": RAW, "state_dict": EMA}, EMA, "weights from 'state_dict'"),
        ({"state_dict": RAW, "state_dict_ema": None}, RAW, "weights from 'state_dict'"),
        ({"state_dict": RAW, "state_dict_ema": {}}, RAW, "^weights from 'state_dict'$"),
        ({"model": RAW, "model_ema": {"decay": 0.9}}, RAW, "^weights from 'model'$"),
        ({"net": RAW, "acc": 71.2}, RAW, "from 'net'$"),
        ({"model": {"net": RAW}}, RAW, r"from 'model\.net'"),
        ({"state": {"a": {"b": RAW}}, "loss": 1.0}, RAW, r"from 'state\.a\.b'"),
        ({"state_dict": RAW, "loss": torch.zeros(1)}, RAW, "from 'state_dict'$"),
    ],
)
def test_a_state_dict_is_found_as_timm_finds_it_and_reported(
    tmp_path: Path, content: object, taken: StateDict, note: str
) -> None:
    checkpoint = load_checkpoint(saved(tmp_path, content))
    assert torch.equal(checkpoint.values["weight"], taken["weight"])
    assert len(checkpoint.notes) == 1
    assert re.search(note, checkpoint.notes[0])


@pytest.mark.parametrize(("key", "taken"), [("state_dict", RAW), ("state_dict_ema", EMA)])
def test_the_manifest_chooses_between_raw_and_ema(
    tmp_path: Path, key: str, taken: StateDict
) -> None:
    file = saved(tmp_path, {"state_dict": RAW, "state_dict_ema": EMA})
    checkpoint = load_checkpoint(file, key)
    assert torch.equal(checkpoint.values["weight"], taken["weight"])
    kind = "EMA weights" if taken is EMA else "raw weights"
    assert checkpoint.notes[0].startswith(f"{kind} from {key!r}")


def test_a_key_leads_into_nested_dicts(tmp_path: Path) -> None:
    file = saved(tmp_path, {"a": {"student": RAW, "teacher": EMA}})
    assert torch.equal(load_checkpoint(file, "a.teacher").values["weight"], EMA["weight"])
    with pytest.raises(WeightsError, match=r"weights\.key 'a\.b'.*under 'b'; keys: student, teach"):
        load_checkpoint(file, "a.b")
    with pytest.raises(WeightsError, match=r"choose one with weights\.key: student, teacher"):
        load_checkpoint(file)


@pytest.mark.parametrize(
    "extra",
    [
        argparse.Namespace(lr=0.1, data="x"),
        np.float64(71.2),
        np.int64(3),
        np.bool_(True),
        np.float32(0.1),
        [np.float64(1.0), argparse.Namespace(inner=np.float32(0.5))],
    ],
    ids=repr,
)
@pytest.mark.parametrize("zipped", [True, False])
def test_what_scripts_save_with_weights_is_allowed_by_name(
    tmp_path: Path, extra: object, zipped: bool
) -> None:
    file = tmp_path / "a.pth"
    torch.save({"model": RAW, "args": extra}, file, _use_new_zipfile_serialization=zipped)
    assert torch.equal(load_checkpoint(file).values["weight"], RAW["weight"])


def test_scalars_of_numpy_1_are_allowed_too(tmp_path: Path) -> None:
    """Its module was numpy.core; numpy 2 has renamed it, and old files keep the old name."""
    file = tmp_path / "a.pth"
    torch.save({"model": RAW, "acc": np.float64(71.2)}, file, _use_new_zipfile_serialization=False)
    old = file.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert b"cnumpy.core.multiarray" in old
    file.write_bytes(old)
    assert torch.equal(load_checkpoint(file).values["weight"], RAW["weight"])


def test_no_allowed_type_is_built(tmp_path: Path) -> None:
    """Their values are not needed: nothing of argparse or numpy runs on a stranger's bytes."""
    file = saved(tmp_path, {"model": RAW, "args": argparse.Namespace(lr=0.1)})
    content = unpickle(file)
    assert isinstance(content["args"], LeftOut)
    assert not hasattr(content["args"], "lr")


def test_a_wrong_digest_is_refused(lite0: Entry) -> None:
    assert lite0.weights is not None
    wrong = lite0.model_copy(
        update={"weights": lite0.weights.model_copy(update={"sha256": "0" * 64})}
    )
    with pytest.raises(WeightsError, match="wrong sha256, refused"):
        build.find_weights(wrong)


def test_the_digest_is_of_the_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(file) == known
