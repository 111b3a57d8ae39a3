"""Tensors into a network: every name, type and shape must fit, as in torch's strict load."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.errors import WeightsError, first_line
from zoo.weights import StateDict, some

Kind = Literal["float", "integer", "bool", "other"]

_FLOAT = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_QUANTIZED = {torch.int8, torch.uint8}
_INTEGER = {*_QUANTIZED, torch.int16, torch.int32, torch.int64}
_COUNTER = "num_batches_tracked"


def load_into(
    network: nn.Module,
    tensors: StateDict,
    where: str,
    *,
    label_offset: int = 0,
    versions: Mapping[str, Any] | None = None,
) -> None:
    """Load tensors into the network.

    Batch norm's counters, which evaluation does not use and old files do not have, are filled in.

    Args:
        network: changed in place.
        tensors: by the network's names.
        where: begins every message.
        label_offset: how many outputs before the first class the classifier in the file has.
        versions: torch's ``_metadata`` of the file; none: the network's own.

    Raises:
        WeightsError: lists missing and unexpected names, unfit types and other shapes.
    """
    own = network.state_dict()
    tensors = _with_counters(tensors, own)
    if label_offset:
        tensors = _without_background(tensors, own, label_offset, where)
    refuse_unfit_types(tensors, own, where)
    problems = _misfits(tensors, own)
    if problems:
        raise WeightsError(f"{where}: weights do not fit the network: {'; '.join(problems)}")
    state = OrderedDict(tensors)
    state._metadata = versions or own._metadata  # type: ignore[attr-defined]
    try:
        network.load_state_dict(state, strict=True)
    except (RuntimeError, ValueError) as error:
        raise WeightsError(f"{where}: torch cannot load it: {first_line(error)}") from None


def refuse_unfit_types(tensors: StateDict, own: Mapping[str, Tensor], where: str) -> None:
    """Raise WeightsError if a tensor would have to become another kind of number to be loaded.

    Quantized, complex and truth values are not the weights that the network computes with; floats
    of another precision are.
    """
    unfit = []
    for name, tensor in tensors.items():
        wanted = own.get(name)
        if wanted is None:  # a converter may rename it
            fits = _kind(tensor) != "other" and tensor.dtype not in _QUANTIZED
        else:
            fits = _kind(tensor) == _kind(wanted)
        if not fits:
            unfit.append(f"{name} is {_type(tensor)}{_instead_of(wanted)}")
    if unfit:
        raise WeightsError(
            f"{where}: refused: types that the network cannot compute with: {some(unfit)}; save "
            "the weights as floats"
        )


def _kind(tensor: Tensor) -> Kind:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        return "other"
    if tensor.dtype in _FLOAT:
        return "float"
    if tensor.dtype in _INTEGER:
        return "integer"
    return "bool" if tensor.dtype == torch.bool else "other"


def _type(tensor: Tensor) -> str:
    sparse = "" if tensor.layout == torch.strided else "sparse "
    empty = " without values" if tensor.is_meta else ""
    return f"{sparse}{str(tensor.dtype).removeprefix('torch.')}{empty}"


def _instead_of(wanted: Tensor | None) -> str:
    return "" if wanted is None else f" instead of {_type(wanted)}"


def _with_counters(tensors: StateDict, own: Mapping[str, Tensor]) -> StateDict:
    """Return the tensors with the counters that are missing, or saved as another kind of number."""
    counters = {
        name: tensor
        for name, tensor in own.items()
        if name.endswith(_COUNTER)
        and (name not in tensors or _kind(tensors[name]) != "integer" or tensors[name].ndim)
    }
    return {**tensors, **counters}


def _without_background(
    tensors: StateDict, own: Mapping[str, Tensor], offset: int, where: str
) -> StateDict:
    """Return the tensors, those of the classifier without the outputs before the first class."""
    cut = {
        name: tensor[offset:]
        for name, tensor in tensors.items()
        if name in own
        and tensor.ndim
        and tensor.shape[0] == own[name].shape[0] + offset
        and tensor.shape[1:] == own[name].shape[1:]
    }
    if not cut:
        raise WeightsError(
            f"{where}: weights.label_offset = {offset}, but no tensor has {offset} outputs more "
            "than the network's: correct it, or leave it out"
        )
    return {**tensors, **cut}


def _misfits(tensors: StateDict, own: Mapping[str, Tensor]) -> list[str]:
    """Return what does not fit, and what to do about it."""
    problems = []
    if missing := [name for name in own if name not in tensors]:
        problems.append(f"missing {some(missing)}")
    unexpected = [name for name in tensors if name not in own]
    if unexpected:
        problems.append(f"unexpected {some(unexpected)}")
    shapes = {
        name: (tuple(tensors[name].shape), tuple(tensor.shape))
        for name, tensor in own.items()
        if name in tensors and tensors[name].shape != tensor.shape
    }
    if shapes:
        listed = [f"{name} {given} for {wanted}" for name, (given, wanted) in shapes.items()]
        problems.append(f"other shapes: {some(listed)}")
    if problems:
        problems.append(_advice(missing, unexpected, list(shapes.values())))
    return problems


def _advice(
    missing: list[str], unexpected: list[str], shapes: list[tuple[tuple[int, ...], tuple[int, ...]]]
) -> str:
    advice = []
    if outputs := _other_outputs(shapes):
        given, wanted = outputs
        advice.append(f"the file has {given} classes: add arguments = {{ num_classes = {given} }}")
        if given == wanted + 1:
            advice.append("or weights.label_offset = 1 if its first output is a background class")
    if unexpected and not missing:
        advice.append("leave what is not the network's out with weights.drop")
    if missing or (shapes and not outputs):
        advice.append("check architecture, arguments, weights.key and weights.key_map")
    return ", ".join(advice)


def _other_outputs(
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]],
) -> tuple[int, int] | None:
    """Return the outputs of the file and the network, if these are all that differs."""
    pairs = {(given[0], wanted[0]) for given, wanted in shapes if given and wanted}
    same = all(given[1:] == wanted[1:] for given, wanted in shapes)
    return pairs.pop() if same and len(pairs) == 1 else None
