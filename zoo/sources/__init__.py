"""Where networks and their weights come from: one file a library or source, one line each here."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from zoo.entry import Entry, InputSize, Preprocess
from zoo.errors import UnknownNameError

if TYPE_CHECKING:
    from torch import nn

    from zoo.weights import Notify

LIBRARIES = {
    "timm": "zoo.sources.timm",
    "torchvision": "zoo.sources.torchvision",
    "zoobench": "zoo.sources.own",
}
# "zoobench" is missing: no weights are published with our own architectures.
SOURCES = {
    "timm": "zoo.sources.timm",
    "torchvision": "zoo.sources.torchvision",
    "checkpoint": "zoo.sources.checkpoint",
    "package": "zoo.sources.package",
}


class Library(Protocol):
    """Builds networks, and knows the preprocessing of the weights that it publishes."""

    def check(self, entry: Entry) -> None:
        """Raise a ZoobenchError if the architecture, the tag or an argument does not exist."""

    def check_input(self, entry: Entry, preprocess: Preprocess) -> None:
        """Raise ManifestError if the network is built for another input."""

    def preprocess(self, entry: Entry, size: InputSize | None) -> dict[str, Any]:
        """Return the fields of ``Preprocess`` that the weights' own metadata states.

        Without a size: at that of the library's published figures.
        """

    def network(self, entry: Entry) -> "nn.Module":
        """Return the network with random weights, on torch's default device."""


class Source(Protocol):
    """Finds the weights of an entry, and builds the network with them."""

    def weights_file(self, entry: Entry) -> Path:
        """Return a local file, fetching it if the source is a hub; raise WeightsError if none."""

    def trained(self, entry: Entry, file: Path, notify: "Notify") -> "nn.Module":
        """Return the network with the file's weights; ``notify`` gets what was chosen or left."""


def library(entry: Entry) -> Library:
    """Return the library that builds the entry's network."""
    return cast(Library, _resolve("library", entry.library or entry.source, LIBRARIES))


def source(entry: Entry) -> Source:
    """Return the source that finds the entry's weights."""
    return cast(Source, _resolve("source", entry.source, SOURCES))


def _resolve(kind: str, name: str, modules: dict[str, str]) -> object:
    if name not in modules:
        raise UnknownNameError(kind, name, modules)
    return import_module(modules[name])
