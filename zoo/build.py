"""From an entry to its network and its preprocessing."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from zoo import sources
from zoo.entry import Entry, Preprocess
from zoo.errors import ManifestError, WeightsError
from zoo.weights import verified_sha256

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class WeightsFile:
    """Weights on this machine, and the digest that identifies them."""

    path: Path
    sha256: str


def check(entry: Entry) -> None:
    """Raise a ZoobenchError if the entry names an unknown architecture or tag."""
    sources.library(entry).check(entry)
    preprocess(entry)


def preprocess(entry: Entry) -> Preprocess:
    """Return the weights' own preprocessing, with what the manifest overrides.

    Raises:
        ManifestError: neither states a field.
    """
    by_library = entry.library in (None, entry.source)
    stated = sources.library(entry).preprocess(entry) if by_library else {}
    try:
        return Preprocess.model_validate({**stated, **entry.preprocess})
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, item["loc"])) for item in error.errors())
        raise ManifestError(
            f"entry {entry.name!r}: field 'preprocess': not stated by the weights, and wrong or "
            f"missing in the manifest: {fields}"
        ) from None


def random_network(entry: Entry) -> "nn.Module":
    """Return the network with random weights in evaluation mode, on torch's default device."""
    return sources.library(entry).network(entry).eval()


def find_weights(entry: Entry) -> WeightsFile:
    """Return the entry's weights as a local file of verified digest.

    Raises:
        WeightsError: none are named, they cannot be had, or their digest is another.
    """
    if entry.weights is None:
        raise WeightsError(f"entry {entry.name!r} names no weights: its accuracy is unknown")
    path = sources.source(entry).weights_file(entry)
    return WeightsFile(path, verified_sha256(entry.weights, path))


def trained_network(entry: Entry, weights: WeightsFile) -> "nn.Module":
    """Return the network with these weights in evaluation mode, on the CPU."""
    return sources.source(entry).trained(entry, weights.path).eval()
