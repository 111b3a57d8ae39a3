"""Weights run no code, are what the manifest says, and fit the network to the last tensor."""

import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from zoo import build
from zoo.entry import Entry, KeyMap
from zoo.errors import WeightsError
from zoo.weights import load_into, load_state_dict, renamed, sha256_of


class _Payload:
    """Unpickling this writes a file: what an attacker's checkpoint could do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (str(self.path), "w"))


def test_a_pickle_that_would_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    file = tmp_path / "evil.pth"
    torch.save({"weight": torch.zeros(1), "extra": _Payload(victim)}, file)
    with pytest.raises(WeightsError, match="refused: this pickle is no plain state dict"):
        load_state_dict(file)
    assert not victim.exists()


def test_a_pickled_module_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "module.pth"
    torch.save(nn.Linear(2, 2), file)
    with pytest.raises(WeightsError, match="refused"):
        load_state_dict(file)


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors"])
def test_a_damaged_file_is_one_line(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"PK\x03\x04 this is no archive")
    with pytest.raises(WeightsError, match=r"cannot be read|refused") as caught:
        load_state_dict(file)
    assert "\n" not in str(caught.value)


def test_a_plain_python_pickle_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "list.pth"
    file.write_bytes(pickle.dumps([1, 2, 3], protocol=2))
    with pytest.raises(WeightsError):
        load_state_dict(file)


def test_other_values_than_tensors_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "mixed.pth"
    torch.save({"weight": torch.zeros(1), "epoch": 3}, file)
    with pytest.raises(WeightsError, match="epoch are no tensors"):
        load_state_dict(file)


def test_both_formats_hold_the_same_tensors(tmp_path: Path) -> None:
    tensors = {"weight": torch.arange(6.0).reshape(2, 3)}
    torch.save({"state_dict": tensors}, tmp_path / "a.pth")
    save_file(tensors, tmp_path / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        assert torch.equal(load_state_dict(tmp_path / name)["weight"], tensors["weight"])


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


def test_missing_unexpected_and_misshapen_tensors_are_all_told() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = dict(network.state_dict())
    state["0.weight"] = torch.zeros(5, 5)
    state["9.odd"] = state.pop("1.bias")
    with pytest.raises(
        WeightsError, match=r"missing 1\.bias.*unexpected 9\.odd.*0\.weight \(5, 5\) for \(3, 2\)"
    ):
        load_into(network, state, "here")


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_flat_blocks_take_their_place_in_the_stages(stages: list[int]) -> None:
    """Block K of the checkpoint is the K-th of the network, whatever the stages' lengths."""
    nested = [f"blocks.{s}.{b}.w" for s, count in enumerate(stages) for b in range(count)]
    flat = {f"_blocks.{k}.w": torch.tensor(k) for k in range(len(nested))}
    result = renamed(flat, KeyMap(flatten={"_blocks": "blocks"}), nested)
    assert [int(result[name]) for name in nested] == list(range(len(nested)))
