"""A local ``.pth`` or ``.safetensors`` file for an architecture of any library."""

from pathlib import Path

from torch import nn

from zoo import sources
from zoo.entry import Entry, Weights
from zoo.errors import WeightsError
from zoo.sources.fit import load_into
from zoo.tensor_names import for_network
from zoo.weights import Notify, ignore, load_checkpoint


def weights_file(entry: Entry) -> Path:
    """Return the file that the manifest names."""
    file = named(entry).file
    assert file is not None  # the entry's own validation asks for it
    if not file.is_file():
        raise WeightsError(f"entry {entry.name!r}: no weights at {file}; correct weights.file")
    return file


def trained(entry: Entry, file: Path, notify: Notify = ignore) -> nn.Module:
    """Return the network with the file's tensors, taken and renamed as the manifest says."""
    where = f"entry {entry.name!r}: {file}"
    weights = named(entry)
    model = sources.library(entry).network(entry)
    found = load_checkpoint(file, weights.key)
    checkpoint = for_network(found, weights, model.state_dict(), where)
    load_into(
        model,
        checkpoint.tensors(where),
        where,
        label_offset=weights.label_offset,
        versions=checkpoint.versions,
    )
    for note in checkpoint.notes:
        notify(note)
    if weights.label_offset:
        notify(f"outputs of the classifier before the first class dropped: {weights.label_offset}")
    return model


def named(entry: Entry) -> Weights:
    """Return the entry's weights, which a file source must name."""
    if entry.weights is None:
        raise WeightsError(
            f"entry {entry.name!r}: the manifest names no weights; give weights.file"
        )
    return entry.weights
