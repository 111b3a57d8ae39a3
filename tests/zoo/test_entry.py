"""Entries say everything that a source needs, and nothing that it would ignore."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from zoo.entry import Entry, KeyMap, Preprocess, Weights

COMPLETE = {
    "resize_px": 256,
    "crop_px": 224,
    "interpolation": "bicubic",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
}


def test_a_checkpoint_must_state_its_whole_preprocessing() -> None:
    partial = {name: value for name, value in COMPLETE.items() if name != "mean"}
    with pytest.raises(ValidationError, match=r"give preprocess\.mean"):
        Entry.model_validate(
            {
                "name": "a",
                "source": "checkpoint",
                "library": "timm",
                "architecture": "resnet18",
                "weights": {"file": "a.pth"},
                "preprocess": partial,
            }
        )


def test_weights_that_the_source_would_ignore_are_refused() -> None:
    with pytest.raises(ValidationError, match="do not take file"):
        Entry.model_validate(
            {
                "name": "a",
                "source": "timm",
                "architecture": "resnet18",
                "weights": {"tag": "a1_in1k", "file": "a.pth"},
            }
        )


@pytest.mark.parametrize("option", [{"key": "net"}, {"drop": ["a"]}, {"label_offset": 1}])
@pytest.mark.parametrize("source", ["timm", "torchvision"])
def test_what_is_chosen_in_a_file_is_for_files_alone(
    source: str, option: dict[str, object]
) -> None:
    (name,) = option
    weights = {"tag": "a1_in1k", **option}
    with pytest.raises(ValidationError, match=f"do not take {name}"):
        Entry.model_validate(
            {"name": "a", "source": source, "architecture": "resnet18", "weights": weights}
        )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": "zoobench", "preprocess": COMPLETE}, r"set preprocess\.crop_px"),
        ({"source": "timm", "preprocess": {"crop_px": 288}}, "contradict: give one of them"),
        ({"source": "timm", "input_size": "large"}, "'train' or 'test'"),
    ],
)
def test_an_input_size_is_one_that_weights_state(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Entry.model_validate(
            {"name": "a", "architecture": "resnet18", "input_size": "train", **fields}
        )


@pytest.mark.parametrize(
    ("fields", "sized"),
    [
        ({"source": "timm"}, True),
        ({"source": "torchvision"}, True),
        ({"source": "timm", "preprocess": {"crop_px": 288, "resize_px": 288}}, False),
        ({"source": "zoobench", "preprocess": COMPLETE}, False),
    ],
)
def test_only_weights_that_state_sizes_get_another(fields: dict[str, object], sized: bool) -> None:
    entry = Entry.model_validate({"name": "a", "architecture": "resnet18", **fields})
    assert entry.at_input_size("train").input_size == ("train" if sized else None)


def test_a_package_needs_a_digest() -> None:
    with pytest.raises(ValidationError, match="need sha256"):
        Entry.model_validate(
            {
                "name": "a",
                "source": "package",
                "library": "timm",
                "architecture": "resnet18",
                "weights": {"package": "p", "file": "a.pth"},
                "preprocess": COMPLETE,
            }
        )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("resize_px", 0),
        ("crop_px", [224, -1]),
        ("interpolation", "cubic"),
        ("std", [0.0, 1.0, 1.0]),
        ("scale", 2),
        ("mean", [0.5]),
        ("crop_mode", "left"),
        ("channels", 0),
        ("channels", "cmyk"),
        ("channels", 4),  # with three means
        ("std", []),
    ],
)
def test_preprocessing_that_makes_no_sense_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Preprocess.model_validate({**COMPLETE, field: value})


def test_a_number_of_channels_is_no_photograph() -> None:
    values = {"mean": [0.5] * 6, "std": [0.5] * 6}
    planes = Preprocess.model_validate({**COMPLETE, **values, "channels": 6})
    assert planes.input_shape == (6, 224, 224)
    assert not planes.takes_photographs
    assert Preprocess.model_validate(COMPLETE).takes_photographs


def test_gray_images_have_one_plane() -> None:
    gray = Preprocess.model_validate(
        {**COMPLETE, "channels": "gray", "mean": [0.5], "std": [0.5], "crop_px": 32}
    )
    assert gray.input_shape == (1, 32, 32)


@given(
    first=st.fixed_dictionaries(
        {
            "resize_px": st.integers(1, 600),
            "crop_px": st.integers(1, 600),
            "crop_mode": st.sampled_from(["center", "border", "squash"]),
            "interpolation": st.sampled_from(["bilinear", "bicubic", "nearest"]),
            "antialias": st.booleans(),
            "scale": st.sampled_from([1, "1/255"]),
        }
    ),
    second=st.fixed_dictionaries(
        {
            "resize_px": st.integers(1, 600),
            "crop_px": st.integers(1, 600),
            "crop_mode": st.sampled_from(["center", "border", "squash"]),
            "interpolation": st.sampled_from(["bilinear", "bicubic", "nearest"]),
            "antialias": st.booleans(),
            "scale": st.sampled_from([1, "1/255"]),
        }
    ),
)
def test_equal_descriptions_mean_equal_preprocessing(
    first: dict[str, object], second: dict[str, object]
) -> None:
    """The description stands in the row key, so two preprocessings must never share one."""
    a = Preprocess.model_validate({**COMPLETE, **first})
    b = Preprocess.model_validate({**COMPLETE, **second})
    assert (a.describe() == b.describe()) == (a == b)


def test_the_network_is_named_apart_from_its_weights(lite0: Entry) -> None:
    assert lite0.network_id == "timm/tf_efficientnet_lite0"
    resized = lite0.model_copy(update={"arguments": {"img_size": 288}})
    assert resized.network_id != lite0.network_id


@pytest.mark.parametrize("replacement", [r"\2", r"\g<stage>", r"\q"])
def test_a_key_map_whose_replacement_refers_to_nothing_is_refused(replacement: str) -> None:
    assert KeyMap(rename=((r"(?i)(backbone|(neck))\.", r"\1\2"),))
    with pytest.raises(ValidationError, match=r"is not a replacement for '\(backbone\)\\\\\.'"):
        KeyMap(rename=((r"(backbone)\.", replacement),))


def test_an_empty_tag_is_refused() -> None:
    with pytest.raises(ValidationError, match="tag"):
        Weights(tag="")
