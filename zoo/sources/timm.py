"""timm: architectures, pretrained tags, and their weights from the hub or its cache."""

import math
from pathlib import Path
from typing import Any

import timm
from timm.models import PretrainedCfg, get_pretrained_cfg, is_model_pretrained, list_pretrained
from torch import nn

from zoo.entry import Entry
from zoo.errors import UnknownNameError, WeightsError
from zoo.sources.hub import hub_file
from zoo.weights import load_state_dict

# In the order in which timm itself prefers them.
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def check(entry: Entry) -> None:
    """Raise UnknownNameError if timm has no such architecture or tag."""
    where = f"entry {entry.name!r}: field"
    if not timm.is_model(entry.architecture):
        raise UnknownNameError(
            "timm architecture", entry.architecture, timm.list_models(), f"{where} 'architecture'"
        )
    tag = _tag(entry)
    if tag and not is_model_pretrained(_name(entry)):
        tags = [name.partition(".")[2] for name in list_pretrained(f"{entry.architecture}.*")]
        raise UnknownNameError(
            f"timm tag of {entry.architecture}", tag, tags, f"{where} 'weights.tag'"
        )


def preprocess(entry: Entry) -> dict[str, Any]:
    """Return the tag's evaluation preprocessing, its crop ratio resolved to whole pixels.

    The size is the tag's ``input_size``, as ``timm.data.resolve_model_data_config`` takes it.
    """
    config = timm.data.resolve_data_config(pretrained_cfg=_config(entry).to_dict())
    crop_px = config["input_size"][1:]
    return {
        "resize_px": tuple(math.floor(px / config["crop_pct"]) for px in crop_px),
        "crop_px": tuple(crop_px),
        "crop_mode": config["crop_mode"],
        "interpolation": config["interpolation"],
        "mean": tuple(config["mean"]),
        "std": tuple(config["std"]),
        "channels": "gray" if config["input_size"][0] == 1 else "rgb",
    }


def network(entry: Entry) -> nn.Module:
    """Return the network with random weights, as the tag configures it (classes, image size)."""
    return timm.create_model(_name(entry), pretrained=False, **entry.arguments)


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


def trained(entry: Entry, file: Path) -> nn.Module:
    """Return the network with the file's tensors, converted and fitted by timm's own loader."""
    classes = _config(entry).num_classes
    if entry.arguments.get("num_classes", classes) != classes:
        # timm would drop the trained classifier and leave a random one in its place.
        raise WeightsError(
            f"entry {entry.name!r}: arguments.num_classes differs from the {classes} classes that "
            f"{entry.network_id} was trained on"
        )
    overlay = {"state_dict": load_state_dict(file), "source": "timm"}
    try:
        model: Any = timm.create_model(
            _name(entry), pretrained=True, pretrained_cfg_overlay=overlay, **entry.arguments
        )
    except (RuntimeError, KeyError) as error:
        raise WeightsError(f"{file}: weights do not fit {entry.network_id}: {error}") from None
    del model.pretrained_cfg["state_dict"]  # a second copy of all tensors
    return model


def _tag(entry: Entry) -> str | None:
    return entry.weights.tag if entry.weights else None


def _name(entry: Entry) -> str:
    return f"{entry.architecture}.{_tag(entry)}" if _tag(entry) else entry.architecture


def _config(entry: Entry) -> PretrainedCfg:
    return get_pretrained_cfg(_name(entry)) or PretrainedCfg()
