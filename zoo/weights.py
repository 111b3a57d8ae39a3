"""Weights as local files: their digest, and the state dict inside, read without running code."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.entry import Weights
from zoo.errors import WeightsError, first_line
from zoo.file_format import format_of

if TYPE_CHECKING:
    from torch import Tensor

StateDict = dict[str, "Tensor"]
# Called with a choice that was made in a file of weights.
Notify = Callable[[str], None]


def ignore(note: str) -> None:
    """Discard a note."""


# Where training scripts put a state dict, in the order in which timm's loader looks.
_EMA_KEYS = ("state_dict_ema", "model_ema")
_KEYS = (*_EMA_KEYS, "state_dict", "model")
_SHOWN = 3


@dataclass(frozen=True)
class Checkpoint:
    """The state dict of a file.

    ``values`` should be tensors, but may be anything. ``versions`` are what torch keeps about each
    module's format (``_metadata``). ``notes`` say which part of the file was taken.
    """

    values: Mapping[str, Any]
    versions: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def tensors(self, where: str) -> StateDict:
        """Return the values, if all of them are tensors; raise WeightsError otherwise."""
        from torch import Tensor

        odd = [
            f"{name} ({type(value).__name__})"
            for name, value in self.values.items()
            if not isinstance(value, Tensor)
        ]
        if odd:
            raise WeightsError(
                f"{where}: not a plain state dict: {some(odd)} are not tensors; leave them out "
                "with weights.drop"
            )
        return dict(self.values)


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


def load_checkpoint(file: Path, key: str | None = None) -> Checkpoint:
    """Read the state dict of a safetensors or PyTorch file, executing nothing of it.

    Args:
        file: in either format, whatever its suffix.
        key: where in the file the state dict is; dots lead into nested ones. None: as timm's loader
            takes it, with EMA weights before raw ones, or the only one there is.

    Raises:
        WeightsError: the file is something else, damaged, or has no state dict, or several.
    """
    notes = []
    if format_of(file) == "safetensors":
        content: Any = _load_safetensors(file)
        if file.suffix != ".safetensors":
            notes.append(f"{file.name} is a safetensors file")
    else:
        from zoo.sources.unpickle import unpickle

        content = unpickle(file)
    path, found = _state_dict_in(content, key, file)
    if path:
        notes.append(_taken_from(path, content))
    return Checkpoint(found, getattr(found, "_metadata", None) or {}, tuple(notes))


def some(names: list[str], limit: int = _SHOWN) -> str:
    """Return the first names of a list, and how many there are."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} … ({len(names)} in all)"


def _load_safetensors(file: Path) -> StateDict:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{file}: cannot be read as safetensors: {first_line(error)}") from None


def _state_dict_in(
    content: Any, key: str | None, file: Path
) -> tuple[list[str], Mapping[str, Any]]:
    """Return where in a file's content the state dict is, and the state dict."""
    path: list[str] = []
    for name in key.split(".") if key else ():
        if not isinstance(content, Mapping) or not isinstance(content.get(name), Mapping):
            raise WeightsError(
                f"{file}: weights.key {key!r}: there is no state dict under {name!r}; keys: "
                f"{some(_keys(content), 10) or 'none'}"
            )
        path.append(name)
        content = content[name]
    while (inner := _inner_key(content, file)) is not None:
        path.append(inner)
        content = content[inner]
    return path, content


def _inner_key(content: Any, file: Path) -> str | None:
    """Return the key of the mapping to look into; None if the content is the state dict."""
    if not isinstance(content, Mapping) or not content:
        kind = f"{type(content).__module__}.{type(content).__qualname__}".removeprefix("builtins.")
        what = "nothing" if isinstance(content, Mapping) else f"a {kind}"
        raise WeightsError(f"{file}: contains {what}, not a state dict of tensors")
    for name in _KEYS:
        if _leads_to_tensors(content.get(name)):
            return name
    if _has_tensors(content):
        return None
    inner = [name for name, value in content.items() if _leads_to_tensors(value)]
    if len(inner) == 1:
        return str(inner[0])
    if inner:
        raise WeightsError(
            f"{file}: contains several state dicts: choose one with weights.key: {some(inner, 10)}"
        )
    raise WeightsError(f"{file}: contains {some(_keys(content))}, not a state dict of tensors")


def _has_tensors(value: Any) -> bool:
    from torch import Tensor

    return isinstance(value, Mapping) and any(
        isinstance(name, str) and isinstance(inner, Tensor) for name, inner in value.items()
    )


def _leads_to_tensors(value: Any) -> bool:
    """Return whether tensors have names in it, at any depth; an optimizer's have numbers."""
    return _has_tensors(value) or (
        isinstance(value, Mapping)
        and any(isinstance(n, str) and _leads_to_tensors(inner) for n, inner in value.items())
    )


def _keys(content: Any) -> list[str]:
    return [str(name) for name in content] if isinstance(content, Mapping) else []


def _is_ema(key: str) -> bool:
    return "ema" in key.lower().split("_")


def _taken_from(path: list[str], content: Any) -> str:
    """Return which state dict was taken, and what else there was to choose from."""
    others = [str(name) for name in content if name != path[0] and _leads_to_tensors(content[name])]
    kind = "weights"
    if any(map(_is_ema, path)):
        kind = "EMA weights"
    elif any(map(_is_ema, others)):
        kind = "raw weights"
    more = f" (not {some([repr(name) for name in others])})" if others else ""
    return f"{kind} from {'.'.join(path)!r}{more}"
