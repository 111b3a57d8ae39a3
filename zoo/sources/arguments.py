"""Which arguments of an entry may reach a library's builder: those that configure the network.

Builders also take arguments that read files, fetch weights or choose a device. None of these may
come from a manifest: the weights would not be the row's, and a pickle could run code.
"""

import inspect
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from torch import nn

from zoo.entry import Entry
from zoo.errors import ManifestError, UnknownNameError, with_type

# Parameters of networks that say where they run or how training begins, not what they are.
_NOT_OF_THE_NETWORK = {"self", "args", "kwargs", "device", "dtype", "weight_init", "init_weights"}
# How names begin of what is read from a disk or from the network.
_LOADING = (
    "cache",
    "checkpoint",
    "file",
    "hub",
    "path",
    "pretrained",
    "progress",
    "url",
    "weights",
)
# What builders raise for a value that they cannot use. A RuntimeError may be the device's.
_UNUSABLE = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


def network_parameters(module: ModuleType) -> set[str]:
    """Return what the networks (modules with ``num_classes``) that a Python module has can take."""
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, nn.Module)
    ]
    signatures = [inspect.signature(found).parameters for found in classes]
    return {name for found in signatures if "num_classes" in found for name in found}


def allowed_arguments(entry: Entry, parameters: Collection[str]) -> dict[str, Any]:
    """Return the entry's arguments if each of them configures the network.

    Args:
        entry: whose arguments are meant for a builder.
        parameters: what the network can take.

    Raises:
        ManifestError: an argument could load something, or does not concern the network.
        UnknownNameError: the network does not take an argument.
    """
    configuring = {name for name in parameters if _configures(name)}
    for name in entry.arguments:
        where = f"entry {entry.name!r}: field 'arguments.{name}'"
        if not _configures(name):
            raise ManifestError(
                f"{where}: refused: only what configures the network is allowed; the weights are "
                "named in 'weights', the device by --device"
            )
        if name not in configuring:
            raise UnknownNameError("network argument", name, configuring, where)
    return dict(entry.arguments)


@contextmanager
def built_with_arguments(entry: Entry) -> Iterator[None]:
    """Run a builder.

    Raises:
        ManifestError: the builder cannot use the value of one of the entry's arguments.
    """
    try:
        yield
    except _UNUSABLE as error:
        if not entry.arguments:
            raise
        raise ManifestError(
            f"entry {entry.name!r}: field 'arguments': {entry.network_id} cannot be built: "
            f"{with_type(error)}; correct the values"
        ) from error


def _configures(name: str) -> bool:
    return name not in _NOT_OF_THE_NETWORK and not name.startswith(_LOADING)
