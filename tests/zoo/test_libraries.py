"""A pattern gives a library's networks with the weights that it publishes, each once."""

import pytest

from zoo import build
from zoo.errors import UnknownNameError, ZoobenchError
from zoo.libraries import library_entries


def test_timm_gives_every_architecture_once_with_its_default_weights() -> None:
    import timm

    entries = library_entries("timm:*")
    assert [entry.architecture for entry in entries] == timm.list_models()
    assert len({entry.name for entry in entries}) == len(entries)
    published = set(timm.list_pretrained())
    assert all(entry.name in published for entry in entries if entry.weights)
    assert not any(timm.is_model_pretrained(e.architecture) for e in entries if not e.weights)


def test_a_dot_asks_timm_for_all_weights() -> None:
    names = [entry.name for entry in library_entries("timm:resnet50.*")]
    assert {"resnet50.tv_in1k", "resnet50.a2_in1k"} < set(names)
    assert library_entries("timm:resnet50.tv_in1k")[0].network_id == "timm/resnet50.tv_in1k"


def test_torchvision_gives_all_weights_of_an_architecture() -> None:
    names = [entry.name for entry in library_entries("torchvision:resnet50")]
    assert names == ["resnet50.IMAGENET1K_V1", "resnet50.IMAGENET1K_V2"]
    names = [entry.name for entry in library_entries("torchvision:resnet*.*V2")]
    assert names == [f"resnet{depth}.IMAGENET1K_V2" for depth in (101, 152, 50)]


def test_torchvision_gives_classifiers_only() -> None:
    for entry in library_entries("torchvision:*"):
        build.check(entry)  # no detector and no quantized network passes
    with pytest.raises(UnknownNameError):
        library_entries("torchvision:fasterrcnn*")


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("tim:*", "did you mean timm"),
        ("timm:resnet5", "did you mean resnet50"),
        ("timm:resnet50.tv_in1", r"did you mean .*resnet50\.tv_in1k"),
        ("torchvision:resnett50", "did you mean resnet50"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(spec: str, hint: str) -> None:
    with pytest.raises(UnknownNameError, match=hint):
        library_entries(spec)


@pytest.mark.parametrize("spec", ["timm", "timm:"])
def test_a_missing_pattern_is_told(spec: str) -> None:
    with pytest.raises(ZoobenchError, match=r"like timm:resnet\*"):
        library_entries(spec)
