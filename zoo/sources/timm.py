"""timm: architectures, pretrained tags, and their weights from the hub or its cache."""

import math
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import timm
from timm.models import (
    PretrainedCfg,
    get_deprecated_models,
    get_pretrained_cfg,
    is_model_pretrained,
    list_pretrained,
    model_entrypoint,
)
from torch import nn

from zoo.entry import Channels, Entry, InputSize, Preprocess
from zoo.errors import ManifestError, UnknownNameError, WeightsError
from zoo.sources.arguments import (
    allowed_arguments,
    built_with_arguments,
    network_parameters,
)
from zoo.sources.fit import refuse_unfit_types
from zoo.sources.hub import hub_file
from zoo.weights import Notify, ignore, load_checkpoint

# In the order in which timm itself prefers them.
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")
# With one of these a network takes other sizes than the one it was built for.
_ANY_SIZE = {"dynamic_img_size", "strict_img_size"}


def check(entry: Entry) -> None:
    """Raise a ZoobenchError if timm has no such architecture, tag or argument."""
    _check_name(entry)
    _arguments(entry)


def check_input(entry: Entry, preprocess: Preprocess) -> None:
    """Raise ManifestError if the network is built for another input than the images make."""
    config = _config(entry)
    channels = _in_chans(entry, config.input_size[0])
    if channels != preprocess.input_channels:
        raise ManifestError(
            f"entry {entry.name!r}: the network takes {channels} channels, and "
            f"preprocess.channels = {preprocess.channels!r} gives {preprocess.input_channels}: add "
            f"arguments = {{ in_chans = {preprocess.input_channels} }}, or set preprocess.channels "
            "(a number, like 4, for other images than photographs), mean and std"
        )
    size_px = _img_size(entry, config.input_size[1:])
    if config.fixed_input_size and size_px != preprocess.crop_px and not _any_size(entry):
        height, width = preprocess.crop_px
        wanted = height if height == width else [height, width]
        raise ManifestError(
            f"entry {entry.name!r}: the network is built for {size_px[0]}x{size_px[1]} px, and "
            f"preprocess.crop_px gives {height}x{width}: add arguments = {{ img_size = {wanted} }}"
        )


def preprocess(entry: Entry, size: InputSize | None) -> dict[str, Any]:
    """Return the tag's evaluation preprocessing, its crop ratio resolved to whole pixels.

    ``test``, the default, is the size of timm's published results (results/results-imagenet.csv),
    which its ``validate.py`` takes: the tag's ``test_input_size`` and ``test_crop_pct`` where it
    has them. Without a tag nothing is published, and the default is ``train``, the network's own
    size. Other channels than the tag's get the mean over its channels, as in timm's loader.
    """
    default = "test" if "." in _name(entry) else "train"
    config = timm.data.resolve_data_config(
        pretrained_cfg=_config(entry).to_dict(), use_test_size=(size or default) == "test"
    )
    crop_px = _img_size(entry, config["input_size"][1:])
    channels = _in_chans(entry, config["input_size"][0])
    return {
        "resize_px": tuple(math.floor(px / config["crop_pct"]) for px in crop_px),
        "crop_px": crop_px,
        "crop_mode": config["crop_mode"],
        "interpolation": config["interpolation"],
        "mean": _per_channel(config["mean"], channels),
        "std": _per_channel(config["std"], channels),
        "channels": _channels(channels),
    }


def network(entry: Entry) -> nn.Module:
    """Return the network with random weights, as the tag configures it (classes, image size)."""
    _check_name(entry)
    with built_with_arguments(entry):
        return timm.create_model(_name(entry), pretrained=False, **_arguments(entry))


def weights_file(entry: Entry) -> Path:
    """Return the tag's file from the hub or its cache (offline: from the cache alone)."""
    config = _config(entry)
    if not _tag(entry) or not config.hf_hub_id:
        raise WeightsError(
            f"entry {entry.name!r}: timm publishes no weights for {entry.network_id} on the hub; "
            "name a tag in weights.tag, or use source 'checkpoint' with a local file"
        )
    names = (config.hf_hub_filename,) if config.hf_hub_filename else _HUB_FILES
    return hub_file(config.hf_hub_id, names, f"entry {entry.name!r}")


def trained(entry: Entry, file: Path, notify: Notify = ignore) -> nn.Module:
    """Return the network with the file's tensors, converted and fitted by timm's own loader."""
    config = _config(entry)
    if entry.arguments.get("num_classes", config.num_classes) != config.num_classes:
        # timm would drop the trained classifier and leave a random one in its place.
        raise WeightsError(
            f"entry {entry.name!r}: arguments.num_classes differs from the {config.num_classes} "
            f"classes that {entry.network_id} was trained on"
        )
    checkpoint = load_checkpoint(file)
    tensors = checkpoint.tensors(str(file))
    refuse_unfit_types(tensors, {}, str(file))
    overlay = {"state_dict": tensors, "source": "timm"}
    try:
        model: Any = timm.create_model(
            _name(entry), pretrained=True, pretrained_cfg_overlay=overlay, **_arguments(entry)
        )
    except (RuntimeError, KeyError) as error:
        raise WeightsError(
            f"{file}: weights do not fit {entry.network_id}: {_one_line(error)}"
        ) from None
    del model.pretrained_cfg["state_dict"]  # a second copy of all tensors
    refuse_unfit_types(tensors, model.state_dict(), str(file))  # the names that timm kept
    for note in checkpoint.notes:
        notify(note)
    channels = _in_chans(entry, config.input_size[0])
    if channels != config.input_size[0]:
        notify(f"first layer adapted by timm to {channels} channels")
    return model


def _check_name(entry: Entry) -> None:
    """Raise a ZoobenchError if timm has no such architecture or tag, or has renamed it."""
    where = f"entry {entry.name!r}: field"
    architecture, _, dotted_tag = entry.architecture.partition(".")
    if not timm.is_model(architecture):
        raise UnknownNameError(
            "timm architecture", architecture, timm.list_models(), f"{where} 'architecture'"
        )
    renamed = get_deprecated_models()
    if architecture in renamed:
        raise ManifestError(
            f"{where} 'architecture': timm has renamed {architecture!r}: "
            + _renamed_to(renamed[architecture])
        )
    field, tag = "weights.tag", _tag(entry)
    if tag is None:
        field, tag = "architecture", dotted_tag
    if "." in _name(entry) and not is_model_pretrained(_name(entry)):
        tags = [name.partition(".")[2] for name in list_pretrained(f"{architecture}.*")]
        raise UnknownNameError(f"timm tag of {architecture}", tag, tags, f"{where} {field!r}")


def _renamed_to(name: str | None) -> str:
    """Return what to write in a manifest instead of a name that timm has given up."""
    if name is None:
        return "it was removed, and has no successor"
    architecture, _, tag = name.partition(".")
    weights = f', weights = {{ tag = "{tag}" }}' if tag else ""
    return f'write architecture = "{architecture}"{weights}'


def _arguments(entry: Entry) -> dict[str, Any]:
    module = sys.modules[model_entrypoint(entry.architecture).__module__]
    return allowed_arguments(entry, network_parameters(module))


def _any_size(entry: Entry) -> bool:
    return bool(_ANY_SIZE & entry.arguments.keys())


def _in_chans(entry: Entry, default: int) -> int:
    channels = entry.arguments.get("in_chans", default)
    if type(channels) is not int or channels < 1:
        raise ManifestError(
            f"entry {entry.name!r}: field 'arguments.in_chans': {channels!r} is not a positive "
            "whole number"
        )
    return channels


def _img_size(entry: Entry, default: tuple[int, int]) -> tuple[int, int]:
    """Return the (height, width) that the network is built for."""
    size = entry.arguments.get("img_size", default)
    pair = tuple(size) if isinstance(size, list | tuple) else (size, size)
    if len(pair) != 2 or not all(type(px) is int and px > 0 for px in pair):
        raise ManifestError(
            f"entry {entry.name!r}: field 'arguments.img_size': {size!r} is not a size in pixels, "
            "like 288 or [288, 384]"
        )
    return pair[0], pair[1]


def _channels(count: int) -> Channels:
    return {1: "gray", 3: "rgb"}.get(count, count)  # type: ignore[return-value]


def _per_channel(values: tuple[float, ...], count: int) -> tuple[float, ...]:
    return tuple(values) if len(values) == count else (fmean(values),) * count


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _tag(entry: Entry) -> str | None:
    return entry.weights.tag if entry.weights else None


def _name(entry: Entry) -> str:
    return f"{entry.architecture}.{_tag(entry)}" if _tag(entry) else entry.architecture


def _config(entry: Entry) -> PretrainedCfg:
    _check_name(entry)
    return get_pretrained_cfg(_name(entry)) or PretrainedCfg()
