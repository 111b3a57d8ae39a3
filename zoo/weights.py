"""Weights as local files: their digest, a load that runs no code, a strict fit."""

import hashlib
import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.entry import KeyMap, Weights
from zoo.errors import WeightsError, first_line, with_type

if TYPE_CHECKING:
    from torch import Tensor, nn

StateDict = dict[str, "Tensor"]


def sha256_of(file: Path) -> str:
    """Return the file's sha256 in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verified_sha256(weights: Weights, file: Path) -> str:
    """Return the file's sha256, or refuse the file if the manifest names another."""
    digest = sha256_of(file)
    if weights.sha256 not in (None, digest):
        raise WeightsError(
            f"{file}: wrong sha256, refused: the manifest says {weights.sha256}, the file has "
            f"{digest}; fetch the file again, or correct weights.sha256"
        )
    return digest


def load_state_dict(file: Path) -> StateDict:
    """Read names and tensors from a ``.safetensors`` or PyTorch file, executing nothing of it.

    Raises:
        WeightsError: the file is damaged, or is a pickle of more than plain tensors.
    """
    if file.suffix == ".safetensors":
        return _load_safetensors(file)
    import torch

    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise WeightsError(
            f"{file}: refused: this pickle is no plain state dict and would run code when loaded; "
            "save it again with safetensors.torch.save_file, or torch.save(model.state_dict(), …)"
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(f"{file}: cannot be read as weights: {with_type(error)}") from None
    return _plain_tensors(content, file)


def _load_safetensors(file: Path) -> StateDict:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{file}: cannot be read as safetensors: {first_line(error)}") from None


def _plain_tensors(content: object, file: Path) -> StateDict:
    """Accept a state dict as it is, or one level down, where training scripts put it."""
    from torch import Tensor

    for name in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"{file}: holds a {type(content).__name__}, no state dict of tensors")
    odd = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if odd:
        raise WeightsError(f"{file}: no plain state dict: {_some(odd)} are no tensors")
    return dict(content)


def load_into(network: "nn.Module", state_dict: StateDict, where: str) -> None:
    """Load tensors into the network; every name and shape must fit.

    Raises:
        WeightsError: lists missing names, unexpected names and other shapes.
    """
    own = network.state_dict()
    problems = []
    if missing := [name for name in own if name not in state_dict]:
        problems.append(f"missing {_some(missing)}")
    if unexpected := [name for name in state_dict if name not in own]:
        problems.append(f"unexpected {_some(unexpected)}")
    shapes = [
        f"{name} {tuple(state_dict[name].shape)} for {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in state_dict and state_dict[name].shape != tensor.shape
    ]
    if shapes:
        problems.append(f"other shapes: {_some(shapes)}")
    if problems:
        raise WeightsError(
            f"{where}: weights do not fit the network: {'; '.join(problems)}; "
            "check architecture, arguments and weights.key_map"
        )
    network.load_state_dict(state_dict, strict=True)


def renamed(state_dict: StateDict, key_map: KeyMap, network_names: Iterable[str]) -> StateDict:
    """Return the tensors under the network's names, as the key map says."""
    names = list(network_names)
    nested = {flat: _nested(target, names) for flat, target in key_map.flatten.items()}
    return {_rename(name, key_map, nested): tensor for name, tensor in state_dict.items()}


def _rename(name: str, key_map: KeyMap, nested: Mapping[str, list[str]]) -> str:
    for pattern, replacement in key_map.rename:
        if match := re.match(pattern, name):
            name = match.expand(replacement) + name[match.end() :]
            break
    for flat, blocks in nested.items():
        if match := re.match(rf"{re.escape(flat)}\.(\d+)\.", name):
            index = int(match[1])
            if index < len(blocks):
                name = f"{blocks[index]}.{name[match.end() :]}"
    return name


def _nested(target: str, names: Iterable[str]) -> list[str]:
    """Return ``blocks.S.B`` of all stages in order."""
    pattern = re.compile(rf"{re.escape(target)}\.(\d+)\.(\d+)\.")
    found = {(int(m[1]), int(m[2])) for name in names if (m := pattern.match(name))}
    return [f"{target}.{stage}.{block}" for stage, block in sorted(found)]


def _some(names: list[str], limit: int = 3) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} … ({len(names)} in all)"
