"""Every network of zoo.architectures against its published cost, and that it computes and learns.

The exact counts are our own. Where half of the last printed digit does not reach from one to the
other, the case says why, and the network stays as its paper defines it.
"""

import importlib
import subprocess
import sys
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from zoo.architectures import ARCHITECTURES

RING = "the paper leaves out the twelve keys of a ring that two of its corners share"
COUNTER = "the paper seems to count biases, activations and norms as well"


class Published(NamedTuple):
    """What a paper prints, in its own digits, beside what we count."""

    params_m: str
    gmacs: str
    params: int
    macs: int
    gmacs_differ: str = ""  # why the print and the count do


# LeNet-5 is no row: its paper prints no such figures of the form built here.
PUBLISHED = {
    "dwnet_base": Published("74.3", "12.9", 74_347_112, 12_812_261_376, COUNTER),
    "dwnet_tiny": Published("24.2", "3.8", 24_172_744, 3_726_862_848, COUNTER),
    "focal_transformer_base": Published("89.8", "16.4", 89_815_400, 16_435_804_160),
    "focal_transformer_small": Published("51.1", "9.4", 51_141_940, 9_480_362_496, RING),
    "focal_transformer_tiny": Published("28.9", "4.9", 28_880_380, 4_953_223_680, RING),
    "pvt_large": Published("61.4", "9.8", 61_369_320, 9_813_765_632),
    "pvt_medium": Published("44.2", "6.7", 44_208_104, 6_659_175_424),
    "pvt_small": Published("24.5", "3.8", 24_485_864, 3_815_701_504),
}
# One of each family suffices where its members differ in depth and width alone.
FAMILIES = {"lenet5": 10, "pvt_small": 1000, "focal_transformer_tiny": 1000, "dwnet_tiny": 1000}


def build(name: str, **options: int) -> nn.Module:
    module, function = ARCHITECTURES[name].split(":")
    return getattr(importlib.import_module(module), function)(**options)


def build_on_meta(name: str, **options: int) -> nn.Module:
    """Build for inference, without real memory."""
    with torch.device("meta"):
        return build(name, **options).eval()


def images(name: str, n: int = 1, *, device: str = "cpu") -> Tensor:
    shape = (1, 32, 32) if name == "lenet5" else (3, 224, 224)
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(0)).to(device)


def count(name: str) -> tuple[int, int]:
    """Count parameters and multiply-adds of one image."""
    model = build_on_meta(name)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(images(name, device="meta"))
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2


def agrees(count_in_units: float, printed: str) -> bool:
    """Say whether a count lies within half of the last printed digit."""
    decimals = len(printed.partition(".")[2])
    return abs(count_in_units - float(printed)) <= 0.5 * 10**-decimals


@pytest.fixture(params=FAMILIES, scope="module")
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(family: str) -> nn.Module:
    torch.manual_seed(0)
    return build(family).eval()


def test_the_list_loads_nothing_heavy() -> None:
    code = "import sys, zoo.architectures; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "timm", "numpy"} & set(run.stdout.split())


def test_every_network_but_lenet_has_its_published_figures() -> None:
    assert PUBLISHED.keys() | {"lenet5"} == ARCHITECTURES.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_cost_is_as_published(name: str) -> None:
    published = PUBLISHED[name]
    params, macs = count(name)
    assert (params, macs) == (published.params, published.macs)
    assert agrees(params / 1e6, published.params_m)
    assert agrees(macs / 1e9, published.gmacs) == (not published.gmacs_differ)


@pytest.mark.parametrize(
    ("name", "dim", "blocks"), [("tiny", 96, 6), ("small", 96, 18), ("base", 128, 18)]
)
def test_a_focal_transformer_without_shared_corners_has_the_published_macs(
    name: str, dim: int, blocks: int
) -> None:
    name = f"focal_transformer_{name}"
    # Two products (QK and AV) a key, query and channel; the last stage has no ring.
    tokens_and_channels = 2 * 56**2 * dim + 2 * 28**2 * 2 * dim + blocks * 14**2 * 4 * dim
    shared = 12 * 2 * tokens_and_channels
    assert agrees((PUBLISHED[name].macs - shared) / 1e9, PUBLISHED[name].gmacs)


@pytest.mark.parametrize("name", ["dwnet_base", "dwnet_tiny"])
def test_a_dwnet_with_biases_activations_and_norms_has_the_published_cost(name: str) -> None:
    model = build_on_meta(name)
    extras = []

    def count_extras(module: nn.Module, _: object, output: Tensor) -> None:
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            extras.append(2 * output.numel())
        elif isinstance(module, nn.ReLU | nn.GELU) or getattr(module, "bias", None) is not None:
            extras.append(output.numel())

    for module in model.modules():
        module.register_forward_hook(count_extras)
    model(images(name, device="meta"))
    assert agrees((PUBLISHED[name].macs + sum(extras)) / 1e9, PUBLISHED[name].gmacs)


def test_lenet5_costs_what_its_layers_add_up_to() -> None:
    c1, c3, c5, f6, output = 6 * 25, 16 * 6 * 25, 120 * 400, 84 * 120, 10 * 84
    assert c1 + c3 + c5 + f6 + output + (6 + 16 + 120 + 84 + 10) == 61_706
    assert count("lenet5") == (61_706, c1 * 28**2 + c3 * 10**2 + c5 + f6 + output)


def test_logits_are_finite_one_row_an_image(family: str, model: nn.Module) -> None:
    with torch.no_grad():
        logits = model(images(family, 2))
    assert logits.shape == (2, FAMILIES[family])
    assert logits.isfinite().all()


def test_an_image_alone_has_the_logits_it_has_in_a_batch(family: str, model: nn.Module) -> None:
    batch = images(family, 2)
    with torch.no_grad():
        torch.testing.assert_close(model(batch[1:]), model(batch)[1:], rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_parameter(family: str, model: nn.Module) -> None:
    logits = model(images(family))
    logits.logsumexp(dim=1).sum().backward()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not dead


@pytest.mark.parametrize("name", FAMILIES)
def test_a_builder_hands_over_a_network_to_train(name: str) -> None:
    with torch.device("meta"):
        model = build(name)
    assert model.training
    model(images(name, 2, device="meta")).sum().backward()


@pytest.mark.parametrize("name", FAMILIES)
def test_num_classes_sets_the_width_of_the_logits(name: str) -> None:
    model = build_on_meta(name, num_classes=7)
    assert model(images(name, 3, device="meta")).shape == (3, 7)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("lenet5", (1, 1, 28, 28)), ("focal_transformer_tiny", (1, 3, 256, 256))],
)
def test_a_fixed_size_is_asked_for_in_words(name: str, shape: tuple[int, ...]) -> None:
    model = build_on_meta(name)
    with pytest.raises(ValueError, match=r"takes \(N, .*not \(1, "):
        model(torch.empty(shape, device="meta"))


@pytest.mark.parametrize("name", ["pvt_small", "dwnet_tiny"])
def test_other_sizes_are_welcome_where_nothing_forbids_them(name: str) -> None:
    model = build_on_meta(name)
    assert model(torch.empty(1, 3, 96, 160, device="meta")).shape == (1, 1000)


def test_a_focal_window_sees_itself_its_ring_and_the_pooled_windows_around_it() -> None:
    from zoo.architectures.focal_transformer import _key_rows

    rows = _key_rows(side=28, expand=3, focal_window=5)
    assert {len(keys) for keys in rows} == {49 + 132 + 25}
    inner = rows[5]  # the window in row 1, column 1 of 4 x 4
    assert inner[:49] == list(range(5 * 49, 6 * 49))
    ring = {row // 49 for row in inner[49:181]}
    assert ring == {0, 1, 2, 4, 6, 8, 9, 10}
    assert len(set(inner[:181])) == 13 * 13
    coarse = [row - 28 * 28 for row in inner[181:] if row >= 0]
    assert coarse == list(range(16))  # 5 x 5 around it, less the row and column off the map


def test_a_map_survives_being_cut_into_windows() -> None:
    from zoo.architectures.focal_transformer import _to_map, _to_windows

    x = torch.arange(2 * 14 * 14 * 3).reshape(2, 14, 14, 3)
    windows = _to_windows(x)
    assert torch.equal(windows[:, 1], x[:, :7, 7:].flatten(1, 2))
    assert torch.equal(_to_map(windows), x.permute(0, 3, 1, 2))


def test_a_window_s_own_biases_are_indexed_as_swin_s() -> None:
    from timm.models.swin_transformer import get_relative_position_index

    from zoo.architectures.focal_transformer import _relative_index

    assert torch.equal(_relative_index(7), get_relative_position_index(7, 7))
