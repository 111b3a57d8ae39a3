"""Source zoobench: our own architectures have no weights, and nothing of their input is guessed."""

from pathlib import Path

import pytest

from zoo import build
from zoo.entry import Entry
from zoo.errors import ManifestError, UnknownNameError, WeightsError
from zoo.manifest import load

PREPROCESS = """
[entry.preprocess]
resize_px = 256
crop_px = 224
interpolation = "bicubic"
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
"""


def entry_of(folder: Path, fields: str = "", preprocess: str = PREPROCESS) -> Entry:
    file = folder / "mine.toml"
    file.write_text(
        f'schema = 1\n[[entry]]\nname = "mine"\nsource = "zoobench"\narchitecture = "pvt_small"\n'
        f"{fields}\n{preprocess}"
    )
    return load(str(file)).entries[0]


def test_it_is_built_by_its_architecture_alone(tmp_path: Path) -> None:
    entry = entry_of(tmp_path)
    build.check(entry)
    assert entry.network_id == "zoobench/pvt_small"
    assert build.preprocess(entry).input_shape == (3, 224, 224)


def test_its_accuracy_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="names no weights"):
        build.find_weights(entry_of(tmp_path))


@pytest.mark.parametrize("weights", ['{ file = "a.pth" }', '{ tag = "in1k" }', "{}"])
def test_weights_are_refused_with_the_way_out(tmp_path: Path, weights: str) -> None:
    with pytest.raises(ManifestError, match=r"no weights.*checkpoint"):
        entry_of(tmp_path, f"weights = {weights}")


def test_preprocessing_must_be_given(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"give preprocess\.resize_px"):
        entry_of(tmp_path, preprocess="")


def test_an_unknown_architecture_is_answered_with_the_nearest(tmp_path: Path) -> None:
    entry = entry_of(tmp_path).model_copy(update={"architecture": "pvt_smal"})
    with pytest.raises(UnknownNameError, match="did you mean pvt_small"):
        build.check(entry)


def test_a_library_that_is_named_still_states_its_preprocessing() -> None:
    entry = Entry(name="a", source="timm", library="timm", architecture="resnet18")
    assert build.preprocess(entry).crop_px == (224, 224)
