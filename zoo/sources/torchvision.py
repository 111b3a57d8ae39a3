"""torchvision: classification models, weights enums, and their files from torch's hub cache."""

import re
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import nn
from torchvision import models
from torchvision.models import WeightsEnum
from torchvision.transforms._presets import ImageClassification

from zoo.entry import Entry, InputSize, Preprocess
from zoo.errors import ManifestError, UnknownNameError, WeightsError
from zoo.sources.arguments import (
    allowed_arguments,
    built_with_arguments,
    network_parameters,
)
from zoo.sources.fit import load_into
from zoo.weights import Notify, StateDict, ignore, load_checkpoint, sha256_of


def check(entry: Entry) -> None:
    """Raise UnknownNameError if torchvision has no such classifier, weights or argument."""
    where = f"entry {entry.name!r}: field"
    names = models.list_models(module=models)
    if entry.architecture not in names:
        raise UnknownNameError(
            "torchvision architecture", entry.architecture, names, f"{where} 'architecture'"
        )
    if tag := _tag(entry):
        tags = list(models.get_model_weights(entry.architecture).__members__)
        if tag not in tags:
            raise UnknownNameError(
                f"torchvision weights of {entry.architecture}", tag, tags, f"{where} 'weights.tag'"
            )
    _arguments(entry)


def check_input(entry: Entry, preprocess: Preprocess) -> None:
    """Raise ManifestError if the images have other channels than torchvision's networks take."""
    if preprocess.input_channels != 3:
        raise ManifestError(
            f"entry {entry.name!r}: field 'preprocess.channels': torchvision's networks take 3 "
            f"channels, and {preprocess.channels!r} gives {preprocess.input_channels}; use timm's"
        )


def preprocess(entry: Entry, size: InputSize | None) -> dict[str, Any]:
    """Return the evaluation preset of the weights; without weights, of the default ones.

    Raises:
        ManifestError: the train size is asked for, which torchvision does not state.
    """
    if size == "train":
        raise ManifestError(
            f"entry {entry.name!r}: field 'input_size': torchvision states no train size; leave "
            "out input_size and --input-size, or set preprocess.resize_px and crop_px"
        )
    weights = _weights(entry) or models.get_model_weights(entry.architecture).DEFAULT
    preset = weights.transforms()
    if not isinstance(preset, ImageClassification):
        raise WeightsError(f"entry {entry.name!r}: {entry.network_id} is not an image classifier")
    return {
        "resize_px": _square(preset.resize_size),
        "crop_px": _square(preset.crop_size),
        "interpolation": preset.interpolation.value,
        "antialias": bool(preset.antialias),
        "mean": tuple(preset.mean),
        "std": tuple(preset.std),
    }


def network(entry: Entry) -> nn.Module:
    """Return the network with random weights, as the weights configure it."""
    arguments = {**_configured_by(entry), **_arguments(entry)}
    with built_with_arguments(entry):
        return models.get_model(entry.architecture, weights=None, **arguments)


def weights_file(entry: Entry) -> Path:
    """Return the enum's file from torch's hub cache, fetched if it is not there."""
    weights = _weights(entry)
    if weights is None:
        raise WeightsError(f"entry {entry.name!r}: no weights are named; give weights.tag")
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file = folder / weights.url.rpartition("/")[2]
    if not file.is_file():
        _download(weights.url, file, f"entry {entry.name!r}")
    _check_name_hash(file)
    return file


def trained(entry: Entry, file: Path, notify: Notify = ignore) -> nn.Module:
    """Return the network with the file's tensors; every name and shape must fit."""
    model = network(entry)
    checkpoint = load_checkpoint(file)
    tensors = _current_names(checkpoint.tensors(str(file)), model)
    load_into(model, tensors, str(file), versions=checkpoint.versions)
    for note in checkpoint.notes:
        notify(note)
    return model


def _arguments(entry: Entry) -> dict[str, Any]:
    module = sys.modules[models.get_model_builder(entry.architecture).__module__]
    return allowed_arguments(entry, network_parameters(module))


def _tag(entry: Entry) -> str | None:
    return entry.weights.tag if entry.weights else None


def _weights(entry: Entry) -> WeightsEnum | None:
    tag = _tag(entry)
    return models.get_model_weights(entry.architecture)[tag] if tag else None


def _square(size: list[int] | tuple[int, ...]) -> tuple[int, int]:
    return (size[0], size[-1])


def _configured_by(entry: Entry) -> dict[str, Any]:
    """Return what torchvision's builders take from the weights rather than from the caller."""
    weights = _weights(entry)
    configured: dict[str, Any] = {}
    if entry.architecture in ("googlenet", "inception_v3"):
        configured["init_weights"] = False  # else they warn, and start slowly
    if weights is None:
        return configured
    if categories := weights.meta["categories"]:
        configured["num_classes"] = len(categories)
    if entry.architecture in ("googlenet", "inception_v3"):
        configured["transform_input"] = True
    if entry.architecture == "googlenet":
        configured["aux_logits"] = False
    if entry.architecture.startswith("vit_"):
        configured["image_size"] = weights.meta["min_size"][0]
    return configured


def _current_names(state_dict: StateDict, model: nn.Module) -> StateDict:
    """Drop GoogLeNet's auxiliary heads, and give DenseNet's old names their present form."""
    if isinstance(model, models.GoogLeNet):
        return {k: v for k, v in state_dict.items() if not k.startswith(("aux1.", "aux2."))}
    if isinstance(model, models.DenseNet):
        old = r"(denselayer\d+\.(?:norm|relu|conv))\.(\d\.)"
        return {re.sub(old, r"\1\2", name): tensor for name, tensor in state_dict.items()}
    return state_dict


def _download(url: str, file: Path, where: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(file), progress=False)
    except (URLError, OSError) as error:
        raise WeightsError(
            f"{where}: weights {file.name} not found: not at {file}, and {url} says: {error}; "
            f"on a machine with network access fetch {url}, and copy it to {file.parent} "
            "(TORCH_HOME names its folder), or use source 'checkpoint' with a local file"
        ) from None


def _check_name_hash(file: Path) -> None:
    """torchvision's file names end in the first 8 digits of their sha256: resnet50-0676ba61.pth."""
    promised = re.search(r"-([0-9a-f]{8,})\.", file.name)
    if promised and not sha256_of(file).startswith(promised[1]):
        raise WeightsError(
            f"{file}: wrong sha256, refused: the name promises {promised[1]}…; delete the file and "
            "fetch it again"
        )
