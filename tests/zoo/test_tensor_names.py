"""Names in a checkpoint become the network's, none is lost, and changes are reported."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.entry import KeyMap, Weights
from zoo.errors import WeightsError
from zoo.tensor_names import for_network
from zoo.weights import Checkpoint

OWN = ("conv.weight", "fc.weight", "fc.bias")


def checkpoint(*names: str, **versions: int) -> Checkpoint:
    return Checkpoint({name: torch.tensor(i) for i, name in enumerate(names)}, versions)


def named(found: Checkpoint) -> dict[str, int]:
    return {name: int(value) for name, value in found.values.items()}


@given(prefixes=st.lists(st.sampled_from(["module.", "_orig_mod.", "model."]), max_size=3))
def test_the_prefixes_of_wrappers_go_in_any_order(prefixes: list[str]) -> None:
    prefix = "".join(prefixes)
    found = for_network(checkpoint(*(prefix + name for name in OWN)), Weights(), OWN, "here")
    assert named(found) == {name: i for i, name in enumerate(OWN)}
    expected = [f"prefix {prefix!r} removed"] if prefix else []
    assert list(found.notes) == expected


def test_a_prefix_that_the_network_has_stays() -> None:
    own = ("model.weight", "model.bias")
    assert list(for_network(checkpoint(*own), Weights(), own, "here").values) == list(own)
    wrapped = for_network(checkpoint("module.model.weight"), Weights(), own, "here")
    assert list(wrapped.values) == ["model.weight"]


def test_versions_follow_the_prefix() -> None:
    found = Checkpoint({"module.a.b": 0}, {"": 1, "module": 2, "module.a": 3})
    assert for_network(found, Weights(), ["a.b"], "here").versions == {"": 2, "a": 3}


def test_dropped_names_are_reported() -> None:
    found = checkpoint("fc.bias", "total_ops", "fc.total_ops")
    kept = for_network(found, Weights(drop=("*total_ops",)), OWN, "here")
    assert named(kept) == {"fc.bias": 0}
    assert kept.notes == ("dropped total_ops, fc.total_ops",)


def test_a_drop_that_matches_nothing_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"weights\.drop 'total' matches no name"):
        for_network(checkpoint("fc.bias", "total_ops"), Weights(drop=("total",)), OWN, "here")


@pytest.mark.parametrize("names", [("model.a", "ema.a"), ("ema.a", "model.a")])
def test_two_names_that_become_one_are_refused_and_named(names: tuple[str, str]) -> None:
    weights = Weights(key_map=KeyMap(rename=(("(model|ema)\\.", ""),)))
    message = f"'{names[0]}' and '{names[1]}' both become 'a'"
    with pytest.raises(WeightsError, match=message):
        for_network(checkpoint(*names), weights, ["a"], "here")


@pytest.mark.parametrize("names", [("module.a", "a"), ("model.module.a", "module.a")])
def test_prefixes_never_lose_a_tensor(names: tuple[str, str]) -> None:
    with pytest.raises(WeightsError, match=f"'{names[0]}' and '{names[1]}' both become 'a'"):
        for_network(checkpoint(*names), Weights(), ["a"], "here")


@given(stages=st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_flat_blocks_take_their_place_in_the_stages(stages: list[int]) -> None:
    """Block K of the checkpoint is the K-th of the network, whatever the stages' lengths."""
    nested = [f"blocks.{s}.{b}.w" for s, count in enumerate(stages) for b in range(count)]
    flat = checkpoint(*(f"_blocks.{k}.w" for k in range(len(nested))))
    weights = Weights(key_map=KeyMap(flatten={"_blocks": "blocks"}))
    result = named(for_network(flat, weights, nested, "here"))
    assert [result[name] for name in nested] == list(range(len(nested)))
