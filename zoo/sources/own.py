"""Networks that no library has, from ``zoo.architectures``."""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

from torch import nn

from zoo.architectures import ARCHITECTURES
from zoo.entry import Entry, InputSize, Preprocess
from zoo.errors import UnknownNameError
from zoo.sources.arguments import allowed_arguments, built_with_arguments


def check(entry: Entry) -> None:
    """Raise UnknownNameError if no network of that name, or no such argument, is defined here."""
    builder = _builder(entry)
    allowed_arguments(entry, inspect.signature(builder).parameters)


def check_input(entry: Entry, preprocess: Preprocess) -> None:
    """Accept any input: the manifest states it."""


def preprocess(entry: Entry, size: InputSize | None) -> dict[str, Any]:
    """Return nothing: no weights are published with these networks; the manifest says it all."""
    return {}


def network(entry: Entry) -> nn.Module:
    """Return the network with random weights."""
    builder = _builder(entry)
    arguments = allowed_arguments(entry, inspect.signature(builder).parameters)
    with built_with_arguments(entry):
        return builder(**arguments)


def _builder(entry: Entry) -> Callable[..., nn.Module]:
    if entry.architecture not in ARCHITECTURES:
        where = f"entry {entry.name!r}"
        raise UnknownNameError("zoobench architecture", entry.architecture, ARCHITECTURES, where)
    module, _, name = ARCHITECTURES[entry.architecture].partition(":")
    return cast(Callable[..., nn.Module], getattr(import_module(module), name))
