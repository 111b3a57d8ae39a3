"""The manifest classics names networks and weights that exist, from LeNet-5 on."""

import pytest
import torch

from zoo import build
from zoo.entry import Entry
from zoo.manifest import load

FAMILIES = {
    *("LeNet", "AlexNet", "GoogLeNet", "Inception-v3", "Inception-v4", "VGG", "ResNet", "ResNeXt"),
    *("SENet", "Xception", "DenseNet", "MobileNet", "MobileNetV2"),
    *("ViT", "ViT (AugReg)", "Swin", "ConvNeXt", "FocalNet"),
}
ENTRIES = {entry.name: entry for entry in load("classics").entries}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_architecture_and_weights_exist(entry: Entry) -> None:
    build.check(entry)
    assert entry.weights is not None or entry.source == "zoobench"


def test_no_classic_is_missing() -> None:
    assert {entry.family for entry in ENTRIES.values()} == FAMILIES


def test_lenet_reads_grey_digits() -> None:
    entry = ENTRIES["lenet5"]
    shape = build.preprocess(entry).input_shape
    assert shape == (1, 32, 32)
    with torch.no_grad():
        assert build.random_network(entry)(torch.zeros(2, *shape)).shape == (2, 10)
