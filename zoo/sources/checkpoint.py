"""A local ``.pth`` or ``.safetensors`` file for an architecture of any library."""

from pathlib import Path

from torch import nn

from zoo import sources
from zoo.entry import Entry, Weights
from zoo.errors import WeightsError
from zoo.weights import load_into, load_state_dict, renamed


def weights_file(entry: Entry) -> Path:
    """Return the file that the manifest names."""
    file = named(entry).file
    assert file is not None  # the entry's own validation asks for it
    if not file.is_file():
        raise WeightsError(f"entry {entry.name!r}: no weights at {file}; correct weights.file")
    return file


def trained(entry: Entry, file: Path) -> nn.Module:
    """Return the network with the file's tensors, renamed by the entry's key map."""
    model = sources.library(entry).network(entry)
    state_dict = load_state_dict(file)
    if key_map := named(entry).key_map:
        state_dict = renamed(state_dict, key_map, model.state_dict())
    load_into(model, state_dict, f"entry {entry.name!r}: {file}")
    return model


def named(entry: Entry) -> Weights:
    """Return the entry's weights, which a file source must name."""
    if entry.weights is None:
        raise WeightsError(f"entry {entry.name!r}: no weights are named; give weights.file")
    return entry.weights
