"""Networks that no library has, from ``zoo.architectures``."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

from torch import nn

from zoo.architectures import ARCHITECTURES
from zoo.entry import Entry
from zoo.errors import UnknownNameError


def check(entry: Entry) -> None:
    """Raise UnknownNameError if no network of that name is written here."""
    if entry.architecture not in ARCHITECTURES:
        where = f"entry {entry.name!r}"
        raise UnknownNameError("zoobench architecture", entry.architecture, ARCHITECTURES, where)


def preprocess(entry: Entry) -> dict[str, Any]:
    """Return nothing: no weights are published with these networks; the manifest says it all."""
    return {}


def network(entry: Entry) -> nn.Module:
    """Return the network with random weights."""
    check(entry)
    module, _, name = ARCHITECTURES[entry.architecture].partition(":")
    builder = cast(Callable[..., nn.Module], getattr(import_module(module), name))
    return builder(**entry.arguments)
