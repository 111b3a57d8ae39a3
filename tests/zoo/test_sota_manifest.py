"""The networks of the manifest sota are those of the published tables: what they cost shows it.

Every network is counted on meta tensors and compared with every figure printed about it. Where half
of the last printed digit does not reach, DIFFERENCES says why; a difference that is not there is a
wrong network, and one that is there and has gone is told too.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from zoo import build
from zoo.entry import Entry
from zoo.manifest import load
from zoo.published import Row, load_claims, load_rows, tables

CUT = "the print is cut where it should be rounded"
WHOLE = "the print is a whole number; its zero after the point is no digit"
COUNTER = "the source's counter seems to add norms, activations or biases"
SELF = "the same network stands in the table with another figure, which is right"
LIBRARY = "the library's network is a little smaller than the paper's"
RING = "the paper leaves out the twelve keys of a ring that two of its corners share"
PATCH_16 = "23.0 G are of patches of 16 px; the rest of the row is of patches of 8 px"
EFFICIENTNET = "the paper's own figure; the weights that it published are of other size or cost"
SIZE_512 = "near to what 512 px cost (93.4 G); the row says 480 px"
VIT_LARGE = "the ViT paper's own figure; the weights that it published are smaller"
ROUNDED_UP = "28.3 M is rounded up; its repository prints 28 M"

DIFFERENCES = {
    "focalnet: ResNet-50 224 in1k params_m": CUT,
    "focalnet: ResNet-50-SB 224 in1k params_m": CUT,
    "focalnet: ResNet-101 224 in1k params_m": WHOLE,
    "focalnet: ResNet-101-SB 224 in1k params_m": WHOLE,
    "focalnet: ResNet-152 224 in1k params_m": WHOLE,
    "focalnet: ResNet-152-SB 224 in1k params_m": WHOLE,
    "focalnet: ResNet-101 224 in1k gflops": COUNTER,
    "focalnet: ResNet-101-SB 224 in1k gflops": COUNTER,
    "focalnet: ResNet-152 224 in1k gflops": SELF,
    "focalnet: ResNet-152-SB 224 in1k gflops": COUNTER,
    "focalnet: DW-Net-T 224 in1k gflops": COUNTER,
    "focalnet: DW-Net-B 224 in1k gflops": COUNTER,
    "focalnet: Mixer-B/16 224 in1k gflops": COUNTER,
    "focalnet: gMLP-S 224 in1k params_m": LIBRARY,
    "focalnet: gMLP-S 224 in1k gflops": LIBRARY,
    "focalnet: gMLP-B 224 in1k params_m": LIBRARY,
    "focalnet: gMLP-B 224 in1k gflops": LIBRARY,
    "focalnet: ResMLP-B24 224 in1k gflops": PATCH_16,
    "focalnet: DeiT-Base/16 224 in1k gflops": CUT,
    "focalnet: PoolFormer-m48 224 in1k gflops": COUNTER,
    "focalnet: FocalNet-B (SRF) 224 in1k gflops": COUNTER,
    "focalnet: FocalAtt-Tiny 224 in1k gflops": RING,
    "focalnet: FocalAtt-Small 224 in1k gflops": RING,
    "convnext: RegNetY-16G 224 in1k gflops": WHOLE,
    "convnext: EffNet-B7 600 in1k gflops": CUT,
    "convnext: EffNetV2-L 480 in1k params_m": EFFICIENTNET,
    "convnext: EffNetV2-L 480 in1k gflops": EFFICIENTNET,
    "convnext: ConvNeXt-B 384 in1k gflops": SELF,
    "convnext: R-101x3 384 in22k gflops": COUNTER,
    "convnext: R-152x4 480 in22k gflops": COUNTER,
    "convnext: EffNetV2-L 480 in22k params_m": EFFICIENTNET,
    "convnext: EffNetV2-L 480 in22k gflops": EFFICIENTNET,
    "convnext: EffNetV2-XL 480 in22k gflops": SIZE_512,
    "convnext: Swin-B 384 in22k gflops": SELF,
    "swin: RegNetY-16G 224 in1k gflops": WHOLE,
    "swin: EffNet-B4 380 in1k gflops": EFFICIENTNET,
    "swin: EffNet-B5 456 in1k gflops": EFFICIENTNET,
    "swin: EffNet-B6 528 in1k gflops": WHOLE,
    "swin: EffNet-B7 600 in1k gflops": CUT,
    "swin: ViT-B/16 384 in1k params_m": CUT,
    "swin: ViT-B/16 384 in1k gflops": CUT,
    "swin: ViT-L/16 384 in1k params_m": VIT_LARGE,
    "swin: ViT-L/16 384 in1k gflops": VIT_LARGE,
    "swin: DeiT-B 224 in1k params_m": CUT,
    "swin: DeiT-B 224 in1k gflops": CUT,
    "swin: DeiT-B 384 in1k params_m": CUT,
    "swin: DeiT-B 384 in1k gflops": CUT,
    "swin: Swin-T 224 in1k params_m": ROUNDED_UP,
    "swin: Swin-B 384 in1k gflops": CUT,
    "swin: R-101x3 384 in22k gflops": COUNTER,
    "swin: R-152x4 480 in22k gflops": COUNTER,
    "swin: ViT-B/16 384 in22k params_m": CUT,
    "swin: ViT-B/16 384 in22k gflops": CUT,
    "swin: ViT-L/16 384 in22k params_m": VIT_LARGE,
    "swin: ViT-L/16 384 in22k gflops": VIT_LARGE,
    "swin: Swin-B 384 in22k gflops": CUT,
}

ENTRIES = {entry.name: entry for entry in load("sota").entries}
ROWS = [row for name in tables() for row in load_rows(name)]
SHAPES: dict[tuple[str, str, int], dict[str, float]] = {}


class NoInitialisation(TorchFunctionMode):
    """Leaves new parameters as they are: without values, drawing them is half of the work."""

    drawing = ("normal_", "uniform_", "fill_", "zero_", "erfinv_", "mul_", "add_", "clamp_")

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func.__name__ in self.drawing:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def on_meta(entry: Entry) -> nn.Module:
    with torch.device("meta"), NoInitialisation():
        return build.random_network(entry)


def counted(name: str) -> dict[str, float]:
    """Return millions of parameters and GMACs; weights of one network and size are counted once."""
    entry = ENTRIES[name]
    shape = build.preprocess(entry).input_shape
    key = (entry.library or entry.source, entry.architecture, shape[1])
    if key not in SHAPES:
        network = on_meta(entry)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.empty(1, *shape, device="meta"))
        params = sum(parameter.numel() for parameter in network.parameters())
        SHAPES[key] = {"params_m": params / 1e6, "gflops": counter.get_total_flops() / 2e9}
    return SHAPES[key]


@pytest.mark.parametrize("table", tables())
def test_networks_cost_what_is_printed(table: str) -> None:
    different = {
        f"{claim.table}: {claim.row} {claim.img_size} {claim.pretrain} {claim.figure}"
        for claim in load_claims(table)
        if claim.figure in ("params_m", "gflops")
        and abs(counted(claim.entry)[claim.figure] - claim.value) > claim.tolerance
    }
    assert different == {name for name in DIFFERENCES if name.startswith(f"{table}:")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.table}-{row.position}")
def test_an_entry_sees_the_rows_image_size_and_its_weights_exist(row: Row) -> None:
    for name, match in (
        (row.entry, row.entry_match),
        (row.torchvision_entry, row.torchvision_match),
    ):
        if not name:
            continue
        entry = ENTRIES[name]
        build.check(entry)
        assert build.preprocess(entry).crop_px == (row.img_size, row.img_size)
        assert row.table in entry.tags
        assert match == "architecture" or entry.weights is not None


def test_every_entry_stands_in_a_row() -> None:
    assert set(ENTRIES) == {
        name for row in ROWS for name in (row.entry, row.torchvision_entry) if name
    }


def test_every_entry_says_where_it_comes_from() -> None:
    for entry in ENTRIES.values():
        assert entry.source in entry.tags
        assert entry.family
        assert entry.year
        assert str(entry.paper).startswith("arXiv:")
