"""The matrix product peak of a GPU at a precision: what MFU is a share of."""

from itertools import pairwise
from statistics import median

import torch

from bench.measure.execution import Execution

# Large enough to fill the largest GPU, small enough to take milliseconds at every precision.
_SIDE = {torch.float32: 4096, torch.bfloat16: 8192, torch.float16: 8192}
_PRODUCTS = 10


def matmul_peak_tflops(execution: Execution) -> float:
    """Return the TFLOP/s of square matrix products as the execution's layers compute them.

    A multiply-add is two FLOP. Precision, TF32 and autocast are those of the execution. Operands
    are noise: products of zeros draw less power and run faster.
    """
    dtype = execution.autocast_dtype or execution.dtype
    side = _SIDE[dtype]
    generator = torch.Generator(execution.device).manual_seed(0)
    a, b = (
        torch.randn(side, side, generator=generator, device=execution.device).to(dtype)
        for _ in range(2)
    )
    marks = [execution.transfers.mark()]
    for _ in range(2 * _PRODUCTS):
        torch.mm(a, b)
        marks.append(execution.transfers.mark())
    execution.transfers.wait(marks[-1])
    timed = marks[_PRODUCTS:]  # the first half warms up
    seconds = [execution.transfers.seconds(before, after) for before, after in pairwise(timed)]
    return 2 * side**3 / median(seconds) / 1e12
