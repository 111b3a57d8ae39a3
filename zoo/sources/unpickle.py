"""PyTorch files, unpickled by an allow-list: everything but tensors becomes inert.

timm's loader allows ``argparse.Namespace`` in addition to torch's own list. Training scripts also
save NumPy scalars with their weights. Neither is needed, so neither is built: a pickle that names
them gets a ``LeftOut`` in their place, and none of their code runs.
"""

import pickle
import re
from pathlib import Path
from typing import Any

import torch

from zoo.errors import WeightsError, with_type

_SHOWN = 3


class LeftOut:
    """An inert value in place of one of an allowed type; its arguments are discarded."""

    def __new__(cls, *_: Any) -> "LeftOut":
        """Accept any arguments."""
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Discard the state."""


def _stand_in(path: str) -> type[LeftOut]:
    return type(path.rpartition(".")[2], (LeftOut,), {"__module__": path.rpartition(".")[0]})


_ALLOWED: list[Any] = [
    (_stand_in(path), path)
    for path in (
        "argparse.Namespace",
        "numpy.dtype",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
    )
]


def unpickle(file: Path) -> Any:
    """Return what a PyTorch file contains, executing nothing of it.

    Raises:
        WeightsError: the file is damaged, or contains other types; names them.
    """
    try:
        # A stream has no suffix, by which torch would guess the format.
        with torch.serialization.safe_globals(_ALLOWED), file.open("rb") as stream:
            return torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{file}: refused: {_why(file, error)}") from None
    except Exception as error:  # a damaged pickle raises whatever its operators run into
        raise WeightsError(f"{file}: cannot be read as weights: {with_type(error)}") from None


def _why(file: Path, error: pickle.UnpicklingError) -> str:
    types = _foreign_types(file) or re.findall(r"GLOBAL (\S+)", str(error))
    if not types:
        return "it is a pickle, but not one of tensors; save it with torch.save"
    more = f" … ({len(types)} in all)" if len(types) > _SHOWN else ""
    return (
        f"it contains {', '.join(types[:_SHOWN])}{more}, and unpickling these would run code: it "
        "is not a plain state dict; where you trust it, load it and save it again with "
        "torch.save(model.state_dict(), …)"
    )


def _foreign_types(file: Path) -> list[str]:
    """Return the types that the file needs and the allow-list does not have."""
    try:
        with torch.serialization.safe_globals(_ALLOWED):
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    except Exception:  # older formats cannot be asked, nor damaged files
        return []
