"""Counts are right by formula and by publication, and say what they leave out."""

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision import models

from bench.measure.complexity import count_macs, crosscheck, on_meta
from zoo.entry import Entry

RGB_224 = (1, 3, 224, 224)


def _meta(build: object, *args: object, **kwargs: object) -> nn.Module:
    assert callable(build)
    network: nn.Module = build(*args, **kwargs)  # built for real: older releases refuse meta
    return network.eval().to("meta")


def test_a_convolution_counts_its_formula() -> None:
    network = _meta(nn.Conv2d, 3, 8, 5, stride=2, groups=1, bias=True)
    # out 110x110, each of 8 channels a sum of 3·5·5 products; the bias is no multiply-add.
    assert count_macs(network, RGB_224).macs == 110 * 110 * 8 * 3 * 5 * 5


@pytest.mark.parametrize(
    "name", ["resnet50", "mobilenet_v2", "vit_b_32", "swin_t", "convnext_tiny"]
)
def test_counts_equal_torchvisions_published_ones(name: str) -> None:
    weights = models.get_model_weights(name).DEFAULT
    network = _meta(models.get_model, name)
    size = weights.transforms().crop_size[0]
    counts = count_macs(network, (1, 3, size, size))
    assert abs(counts.macs / 1e9 - weights.meta["_ops"]) <= 0.0015 or size != 224
    assert sum(p.numel() for p in network.parameters()) == weights.meta["num_params"]
    assert counts.uncounted == {}


@pytest.mark.parametrize("fused", [True, False])
def test_attention_counts_alike_fused_or_not(fused: bool) -> None:
    """Counters tend to miss fused attention: a seventh of ViT-Ti/16."""
    timm.layers.set_fused_attn(fused)
    try:
        counts = count_macs(_meta(timm.create_model, "vit_tiny_patch16_224"), RGB_224)
    finally:
        timm.layers.set_fused_attn(True)
    tokens, width, depth = 14 * 14 + 1, 192, 12
    embedding = 14 * 14 * width * 3 * 16 * 16
    block = 12 * tokens * width**2 + 2 * tokens**2 * width  # projections and MLP; q k^T and its v
    assert counts.macs == embedding + depth * block + width * 1000


@pytest.mark.parametrize(
    "name",
    ["vit_tiny_patch16_224", "resnet18", "tf_efficientnet_lite0", "gmixer_12_224", "pit_ti_224"],
)
def test_two_independent_counters_agree(name: str) -> None:
    first = count_macs(_meta(timm.create_model, name), RGB_224)
    second = crosscheck(timm.create_model(name).eval(), RGB_224)
    assert second.macs is not None
    assert second.macs == pytest.approx(first.macs, rel=0.02)


def test_the_second_counter_does_not_borrow_the_firsts_numbers() -> None:
    """fvcore sees the traced graph: code that only runs there shows in its count alone."""

    class OnlyWhenTraced(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 8, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(self.linear(x)) if torch.jit.is_tracing() else self.linear(x)

    first = count_macs(_meta(OnlyWhenTraced), (1, 8))
    second = crosscheck(OnlyWhenTraced().eval(), (1, 8))
    assert (first.macs, second.macs) == (64, 128)


def test_an_operator_without_a_formula_is_told() -> None:
    class Spectral(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.rfft2(x).abs()

    counts = count_macs(_meta(Spectral), RGB_224)
    assert list(counts.uncounted) == ["aten._fft_r2c.default"]


def test_heads_that_inference_never_runs_are_named() -> None:
    network = _meta(models.inception_v3, init_weights=False)
    counts = count_macs(network, (1, 3, 299, 299))
    heads = sum(p.numel() for p in network.AuxLogits.parameters())
    assert [(module.name, module.params) for module in counts.unused] == [("AuxLogits", heads)]


def test_a_network_that_fvcore_cannot_trace_says_why() -> None:
    class Refuses(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if torch.jit.is_tracing():
                raise RuntimeError("no tracing, please")
            return x

    check = crosscheck(Refuses(), (1, 4))
    assert check.macs is None
    assert check.note is not None
    assert "no tracing, please" in check.note


def test_building_without_filling_counts_the_same() -> None:
    """Random numbers are not drawn on meta tensors; shapes, and so counts, stay as they are."""
    entry = Entry(name="a", source="timm", architecture="convnext_atto")
    filled = _meta(timm.create_model, "convnext_atto")
    built = on_meta(entry)
    shapes = {name: tensor.shape for name, tensor in filled.state_dict().items()}
    assert {name: tensor.shape for name, tensor in built.state_dict().items()} == shapes
    assert all(parameter.is_meta for parameter in built.parameters())
    assert count_macs(built, RGB_224) == count_macs(filled, RGB_224)


def test_a_network_that_refuses_meta_tensors_is_built_and_moved() -> None:
    """torchvision's RegNet does arithmetic on real numbers while it is built."""
    entry = Entry(name="a", source="torchvision", architecture="regnet_y_400mf")
    published = models.RegNet_Y_400MF_Weights.IMAGENET1K_V1.meta
    network = on_meta(entry)
    assert sum(parameter.numel() for parameter in network.parameters()) == published["num_params"]
    assert count_macs(network, RGB_224).macs / 1e9 == pytest.approx(published["_ops"], abs=0.001)
