"""Tensors fit the network to the last one, in name, kind and shape, or are refused by name."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from zoo.entry import Weights
from zoo.errors import WeightsError
from zoo.sources.fit import load_into, refuse_unfit_types
from zoo.tensor_names import for_network
from zoo.weights import StateDict, load_checkpoint


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 10))


def state(**changed: Tensor) -> StateDict:
    torch.manual_seed(0)
    return {
        **network().state_dict(),
        **{name.replace("_", ".", 1): tensor for name, tensor in changed.items()},
    }


def test_missing_unexpected_and_misshapen_tensors_are_all_listed() -> None:
    tensors = state()
    tensors["0.weight"] = torch.zeros(5, 5)
    tensors["9.odd"] = tensors.pop("3.bias")
    with pytest.raises(
        WeightsError,
        match=r"missing 3\.bias.*unexpected 9\.odd.*0\.weight \(5, 5\) for \(4, 3, 1, 1\); check",
    ):
        load_into(network(), tensors, "here")


@pytest.mark.parametrize("versions", [None, {"": {"version": 1}, "1": {"version": 2}}])
def test_counters_of_old_files_are_filled_in(versions: dict[str, dict[str, int]] | None) -> None:
    tensors = {n: t for n, t in state().items() if not n.endswith("num_batches_tracked")}
    loaded = network()
    load_into(loaded, tensors, "here", versions=versions)
    assert torch.equal(loaded.state_dict()["3.weight"], tensors["3.weight"])


@pytest.mark.parametrize("counter", [torch.tensor(3.0), torch.tensor([7])])
def test_counters_that_were_cast_or_are_older_still_load(counter: Tensor) -> None:
    load_into(network(), {**state(), "1.num_batches_tracked": counter}, "here")


def test_running_statistics_are_not_filled_in() -> None:
    tensors = {n: t for n, t in state().items() if not n.startswith("1.running")}
    with pytest.raises(WeightsError, match=r"missing 1\.running_mean, 1\.running_var"):
        load_into(network(), tensors, "here")


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [
        (torch.zeros(10, dtype=torch.int8), "int8"),
        (torch.zeros(10, dtype=torch.uint8), "uint8"),
        (torch.zeros(10, dtype=torch.int64), "int64"),
        (torch.zeros(10, dtype=torch.bool), "bool"),
        (torch.zeros(10, dtype=torch.complex64), "complex64"),
        (torch.zeros(10).to(torch.float8_e4m3fn), "float8_e4m3fn"),
        (torch.zeros(10).to_sparse(), "sparse float32"),
        (torch.zeros(10, device="meta"), "float32 without values"),
    ],
)
def test_a_kind_of_number_that_is_no_weight_is_refused_by_name(tensor: Tensor, kind: str) -> None:
    message = rf"refused: .*3\.bias is {kind} instead of float32"
    with pytest.raises(WeightsError, match=message):
        load_into(network(), {**state(), "3.bias": tensor}, "here")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_of_another_precision_load(dtype: torch.dtype) -> None:
    tensors = {n: t.to(dtype) if t.is_floating_point() else t for n, t in state().items()}
    loaded = network()
    load_into(loaded, tensors, "here")
    assert torch.equal(loaded.state_dict()["3.weight"], tensors["3.weight"].float())


def test_quantized_tensors_are_refused_under_names_that_a_converter_renames() -> None:
    tensors = {"theirs.weight": torch.zeros(3, dtype=torch.int8)}
    with pytest.raises(WeightsError, match=r"theirs\.weight is int8"):
        refuse_unfit_types(tensors, network().state_dict(), "here")
    refuse_unfit_types({"theirs.index": torch.zeros(3, dtype=torch.int64)}, {}, "here")


@pytest.mark.parametrize("classes", [40, 11, 9])
def test_a_forgotten_number_of_classes_says_what_to_add(classes: int) -> None:
    tensors = {**state(), "3.weight": torch.zeros(classes, 4), "3.bias": torch.zeros(classes)}
    message = rf"add arguments = \{{ num_classes = {classes} \}}"
    with pytest.raises(WeightsError, match=message) as caught:
        load_into(network(), tensors, "here")
    assert ("label_offset = 1" in str(caught.value)) == (classes == 11)


def test_another_width_is_not_another_number_of_classes() -> None:
    tensors = {**state(), "0.weight": torch.zeros(8, 3, 1, 1), "3.bias": torch.zeros(40)}
    with pytest.raises(WeightsError, match="check architecture") as caught:
        load_into(network(), tensors, "here")
    assert "num_classes" not in str(caught.value)


def test_an_extra_tensor_is_answered_with_the_drop_rule() -> None:
    with pytest.raises(WeightsError, match=r"unexpected total_ops; .*weights\.drop"):
        load_into(network(), {**state(), "total_ops": torch.zeros(1)}, "here")


def test_outputs_before_the_first_class_are_left_out() -> None:
    weight, bias = torch.randn(11, 4), torch.randn(11)
    loaded = network()
    load_into(loaded, {**state(), "3.weight": weight, "3.bias": bias}, "here", label_offset=1)
    assert torch.equal(loaded.state_dict()["3.weight"], weight[1:])
    assert torch.equal(loaded.state_dict()["3.bias"], bias[1:])


def test_an_offset_that_nothing_has_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"label_offset = 1, but no tensor has 1 outputs more"):
        load_into(network(), state(), "here", label_offset=1)


@pytest.mark.parametrize("architecture", ["densenet121", "resnet18", "mnasnet0_5"])
@pytest.mark.parametrize("wrapper", ["", "module."])
def test_torchvisions_networks_load_what_torch_saved(
    tmp_path: Path, architecture: str, wrapper: str
) -> None:
    """MNASNet refuses a state dict without its version, which DataParallel moves."""
    saved = models.get_model(architecture, weights=None)
    file = tmp_path / "a.pth"
    torch.save((nn.DataParallel(saved) if wrapper else saved).state_dict(), file)
    loaded = models.get_model(architecture, weights=None)
    found = for_network(load_checkpoint(file), Weights(), loaded.state_dict(), "here")
    load_into(loaded, found.tensors("here"), "here", versions=found.versions)
    for name, tensor in saved.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_a_version_that_torch_refuses_is_one_line() -> None:
    loaded = models.get_model("mnasnet0_5", weights=None)
    versions = OrderedDict({"": {"version": 99}})
    with pytest.raises(WeightsError, match=r"torch cannot load it: .*version") as caught:
        load_into(loaded, dict(loaded.state_dict()), "here", versions=versions)
    assert "\n" not in str(caught.value)
