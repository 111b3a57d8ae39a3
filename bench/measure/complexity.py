"""Parameters and multiply-adds of one image, counted on meta tensors, and checked by fvcore.

torch's counter sees what the dispatcher runs: on meta tensors fused attention is counted, on CPU
tensors it would count as nothing. fvcore traces the graph and needs real tensors; it has no formula
for fused attention, so it is given one here.
"""

import logging
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from bench.measure import Result, Row
from bench.records import NOT_CHECKED, Complexity, UnusedModule
from zoo import build
from zoo.entry import Entry
from zoo.errors import ZoobenchError, with_type

# The second count runs the network once on real tensors: a fraction of a second for this many MACs
# and parameters. Above that it is made only if the figure "crosscheck" is asked for.
CROSSCHECK_MACS = 1_000_000_000
CROSSCHECK_PARAMS = 10_000_000


def run(row: Row) -> Result:
    """Count one network.

    Raises:
        Exception: whatever the network raises on meta tensors; the row records it.
    """
    shape = (1, *row.preprocess.input_shape)
    network = on_meta(row.entry)
    params = sum(parameter.numel() for parameter in network.parameters())
    counts = count_macs(network, shape)
    small = counts.macs <= CROSSCHECK_MACS and params <= CROSSCHECK_PARAMS
    by_default = small and not row.job.only_counts  # a run that only counts is quick
    check = Crosscheck(None, {}, NOT_CHECKED)
    if by_default or "crosscheck" in row.job.figures:
        check = crosscheck(build.random_network(row.entry), shape)
    return Result(
        Complexity(
            params=params,
            unused=counts.unused,
            macs=counts.macs,
            macs_by_operator=counts.by_operator,
            uncounted=counts.uncounted,
            macs_fvcore=check.macs,
            fvcore_note=check.note,
            fvcore_uncounted=check.uncounted,
        )
    )


@dataclass(frozen=True)
class Counts:
    """What one run on meta tensors showed."""

    by_operator: dict[str, int]
    uncounted: dict[str, int]
    unused: tuple[UnusedModule, ...]

    @property
    def macs(self) -> int:
        """Return all multiply-adds."""
        return sum(self.by_operator.values())


@dataclass(frozen=True)
class Crosscheck:
    """fvcore's multiply-adds, or a note why there are none."""

    macs: int | None
    uncounted: dict[str, int]
    note: str | None


def count_macs(network: nn.Module, shape: tuple[int, ...]) -> Counts:
    """Run a network of meta tensors once on an input of ``shape`` and count its multiply-adds."""
    operators = _Operators()
    # Without gradients, and not in inference mode: the dispatcher then takes composite operators
    # apart before the mode sees them.
    with torch.no_grad(), operators:
        network(torch.empty(shape, device="meta"))
    # The formulas' FLOPs are two a multiply-add.
    by_operator = {name: flops // 2 for name, flops in operators.flops.items()}
    return Counts(by_operator, dict(operators.uncounted), _unused(network, operators.seen))


def crosscheck(network: nn.Module, shape: tuple[int, ...]) -> Crosscheck:
    """Count multiply-adds with fvcore, by tracing the network on real tensors."""
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the tracer's, about the network's own conditions
            from fvcore.nn import FlopCountAnalysis

            analysis = FlopCountAnalysis(network, torch.zeros(shape))
            analysis.set_op_handle(
                "aten::scaled_dot_product_attention",
                _attention_macs,
                # Norms and resampling are no multiply-adds of the papers' kind.
                **dict.fromkeys(_NO_MACS, _nothing),
            )
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
            macs = int(analysis.total())
            unsupported = analysis.unsupported_ops()
    except Exception as error:  # the tracer refuses some networks, each in its own way
        return Crosscheck(None, {}, f"fvcore cannot trace it: {with_type(error)}")
    odd = {name: n for name, n in unsupported.items() if name in _FVCORE_ARITHMETIC}
    return Crosscheck(macs, odd, None)


_NO_MACS = (
    "aten::batch_norm",
    "aten::group_norm",
    "aten::layer_norm",
    "aten::instance_norm",
    "aten::upsample_nearest2d",
    "aten::upsample_bilinear2d",
    "aten::adaptive_avg_pool2d",
    "aten::grid_sampler",
)
_FVCORE_ARITHMETIC = {"aten::baddbmm", "aten::fft_rfft2", "aten::fft_irfft2", "aten::mv"}


def _nothing(inputs: list[Any], outputs: list[Any]) -> int:
    return 0


def _attention_macs(inputs: list[Any], outputs: list[Any]) -> int:
    """Count softmax(q k^T) v of shapes (…, L, E), (…, S, E), (…, S, V): L·S·(E + V) a head."""
    query, key, value = (item.type().sizes() for item in inputs[:3])
    return int(prod(query[:-1]) * key[-2] * (query[-1] + value[-1]))


# Reductions, norms, pooling, resampling, copies and creation: what the papers leave out of "FLOPs".
# Found by running every architecture of timm and torchvision.
# fmt: off
_LIGHT = frozenset(
    (
        "_adaptive_avg_pool2d", "_assert_async", "_log_softmax", "_native_batch_norm_legit",
        "_native_batch_norm_legit_no_training", "_safe_softmax", "_softmax", "_to_copy",
        "_unsafe_index", "_unsafe_view", "_upsample_bicubic2d_aa", "adaptive_avg_pool2d",
        "adaptive_max_pool2d", "all", "amax", "amin", "arange", "argmax", "as_strided",
        "avg_pool1d", "avg_pool2d", "avg_pool3d", "batch_norm", "cat", "channel_shuffle",
        "col2im", "constant_pad_nd", "copy", "cumsum", "detach", "elu", "embedding", "empty",
        "eye", "flip", "floor_divide", "full", "gather", "hardsigmoid", "hardswish", "hardtanh",
        "im2col", "index", "index_put", "index_select", "leaky_relu", "lift_fresh",
        "linalg_vector_norm", "log_softmax", "logsumexp", "masked_fill", "max", "max_pool2d",
        "max_pool2d_with_indices", "max_pool3d_with_indices", "mean", "min",
        "native_batch_norm", "native_channel_shuffle", "native_dropout", "native_group_norm",
        "native_layer_norm", "new_empty", "new_zeros", "ones", "pixel_shuffle",
        "pixel_unshuffle", "reflection_pad2d", "repeat", "replication_pad2d", "resize", "roll",
        "scalar_tensor", "scatter", "set", "sort", "stack", "sum", "topk", "unsafe_split",
        "upsample_bicubic2d", "upsample_bilinear2d", "upsample_linear1d", "upsample_nearest2d",
        "var", "zero", "zeros", "zeros_like",
    )
)
# fmt: on


def _like(x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(x)


def _arithmetic(a: Tensor, b: Any = None, *_: Any) -> Tensor | None:
    """Return a result like ``a`` where shapes need no broadcasting and types no promotion."""
    same = isinstance(b, int | float) or (
        isinstance(b, Tensor) and b.shape == a.shape and b.dtype == a.dtype
    )
    return torch.empty_like(a) if same and a.is_floating_point() else None


# Of a norm's results nothing reads the statistics in a forward pass.
def _batch_norm(x: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty(0), x.new_empty(0)


def _layer_norm(x: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(0), x.new_empty(0)


def _addmm(bias: Tensor, a: Tensor, b: Tensor, *_: Any) -> Tensor:
    return a.new_empty(a.shape[0], b.shape[1])


# torch works out these results on meta tensors in Python, in milliseconds; their shapes are simple.
# One that returns None leaves the case to torch.
_SHAPES: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.add: _arithmetic,
    torch.ops.aten.sub: _arithmetic,
    torch.ops.aten.mul: _arithmetic,
    torch.ops.aten.div: _arithmetic,
    torch.ops.aten.relu: _like,
    torch.ops.aten.silu: _like,
    torch.ops.aten.sigmoid: _like,
    torch.ops.aten.hardswish: _like,
    torch.ops.aten.native_layer_norm: _layer_norm,
    torch.ops.aten.native_batch_norm: _batch_norm,
    torch.ops.aten._safe_softmax: _like,
    torch.ops.aten._softmax: _like,
    torch.ops.aten.gelu: _like,
    torch.ops.aten.addmm: _addmm,
}


class _Operators(TorchDispatchMode):
    """Adds up torch's own formula of each operator that runs, and notes those without one.

    A third of the time of ``FlopCounterMode``, which also follows modules, and the same counts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()
        self.flops: Counter[str] = Counter()
        self.uncounted: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        for argument in args:
            if isinstance(argument, Tensor):
                self.seen.add(id(argument))
            elif isinstance(argument, list | tuple):  # what ``cat`` takes
                self.seen.update(map(id, argument))
        packet = func._overloadpacket
        shape_of = _SHAPES.get(packet)
        output = shape_of(*args) if shape_of and args[0].is_meta else None
        if output is None:
            output = func(*args, **kwargs)
        if formula := flop_registry.get(packet):
            self.flops[packet.__name__] += formula(*args, **kwargs, out_val=output)
        elif _is_uncounted(func):
            self.uncounted[str(func)] += 1
        return output


def _is_uncounted(func: Any) -> bool:
    """Return whether an operator does arithmetic of the multiply-add kind and has no formula.

    Point-wise operators and views never do; of the rest, what the papers leave out is listed.
    """
    if func.is_view or torch.Tag.pointwise in func.tags:
        return False
    return str(func).rpartition(".")[0].removeprefix("aten.").rstrip("_") not in _LIGHT


def on_meta(entry: Entry) -> nn.Module:
    """Build without memory; what refuses that is built and moved (torchvision's RegNet)."""
    try:
        with torch.device("meta"), _NoInitialisation():
            return build.random_network(entry)
    except ZoobenchError:
        raise
    except Exception:  # each library has its own way to say that it needs real numbers
        return build.random_network(entry).to("meta")


class _NoInitialisation(TorchFunctionMode):
    """Skips filling tensors in place, which on meta tensors costs time and changes nothing."""

    _FILLING = frozenset(
        f"{name}_"
        for name in [
            "add",
            "clamp",
            "constant",
            "erfinv",
            "fill",
            "kaiming_uniform",
            "mul",
            "normal",
            "uniform",
            "zero",
        ]
    )

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in self._FILLING:
            filled = args[0] if args else kwargs.get("tensor")  # torch.nn.init names it
            if isinstance(filled, Tensor) and filled.is_meta:
                return filled
        return func(*args, **kwargs)


def _unused(network: nn.Module, seen: set[int]) -> tuple[UnusedModule, ...]:
    """Return the outermost modules, or single parameters, that no operator has read."""
    found: list[UnusedModule] = []
    candidates: list[tuple[str, list[nn.Parameter]]] = [
        *((name, list(module.parameters())) for name, module in network.named_modules() if name),
        *((name, [parameter]) for name, parameter in network.named_parameters()),
    ]
    for name, parameters in candidates:
        inside = any(name.startswith(f"{item.name}.") for item in found)
        if parameters and not inside and not any(id(p) in seen for p in parameters):
            found.append(UnusedModule(name=name, params=sum(p.numel() for p in parameters)))
    return tuple(found)
