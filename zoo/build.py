"""From an entry to its network and its preprocessing."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from zoo import sources
from zoo.entry import Entry, InputSize, Preprocess
from zoo.errors import ManifestError, WeightsError
from zoo.weights import Notify, ignore, verified_sha256

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class WeightsFile:
    """Weights on this machine, and what identifies them: the file, and what is taken from it."""

    path: Path
    sha256: str
    options: str | None = None


def check(entry: Entry) -> None:
    """Raise a ZoobenchError if the network cannot be built, or not for its images."""
    library = sources.library(entry)
    library.check(entry)
    library.check_input(entry, preprocess(entry))


def preprocess(entry: Entry) -> Preprocess:
    """Return the weights' own preprocessing, with what the manifest overrides.

    Raises:
        ManifestError: neither states a field.
    """
    return _preprocess_at(entry, entry.input_size)


def input_size_note(entry: Entry) -> str | None:
    """Return at which of its weights' two sizes the entry is measured; None if they have one."""
    if not entry.has_input_sizes or "crop_px" in entry.preprocess:
        return None
    try:
        train, test = _preprocess_at(entry, "train"), _preprocess_at(entry, "test")
    except ManifestError:  # the library states one size
        return None
    if train == test:
        return None
    at_train = f"train size, {train.describe_size()}"
    at_test = f"test size, {test.describe_size()}"
    if preprocess(entry) == train:
        return f"input: {at_train} (not the {at_test})"
    return f"input: {at_test} (not the {at_train})"


def _preprocess_at(entry: Entry, size: InputSize | None) -> Preprocess:
    by_library = entry.library in (None, entry.source)
    stated = sources.library(entry).preprocess(entry, size) if by_library else {}
    try:
        return Preprocess.model_validate({**stated, **entry.preprocess})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}".removeprefix(": ")
            for item in error.errors()
        )
        raise ManifestError(
            f"entry {entry.name!r}: field 'preprocess': not stated by the weights, and wrong or "
            f"missing in the manifest: {problems}"
        ) from None


def random_network(entry: Entry) -> "nn.Module":
    """Return the network with random weights in evaluation mode, on torch's default device."""
    return sources.library(entry).network(entry).eval()


def find_weights(entry: Entry) -> WeightsFile:
    """Return the entry's weights as a local file of verified digest.

    Raises:
        WeightsError: none are named, they are not found, or their digest differs.
    """
    if entry.weights is None:
        raise WeightsError(f"entry {entry.name!r} names no weights: its accuracy is unknown")
    path = sources.source(entry).weights_file(entry)
    return WeightsFile(path, verified_sha256(entry.weights, path), entry.weights.options)


def trained_network(entry: Entry, weights: WeightsFile, notify: Notify = ignore) -> "nn.Module":
    """Return the network with these weights in evaluation mode, on the CPU.

    Args:
        entry: whose network it is.
        weights: as ``find_weights`` returns them.
        notify: called with each choice that was made in the file: EMA or raw weights, prefixes, ...
    """
    return sources.source(entry).trained(entry, weights.path, notify).eval()
