"""Images/s of the model alone: forward passes on a batch that is already on the device."""

import time

import torch

from bench.measure import Result, Row
from bench.measure.execution import Execution, is_out_of_memory
from bench.measure.matmul_peak import matmul_peak_tflops
from bench.measure.memory import PeakMemory
from bench.measure.speed import budget_for, explaining, random_network, time_parts
from bench.measure.timing import Step, clock_for
from bench.records import Throughput
from zoo.errors import first_line

# Enough for a median that one scheduling of the host's does not move.
_LAUNCHES = 11


def run(row: Row) -> Result:
    """Time forward passes. Weights do not change the work, so none are loaded.

    Raises:
        MeasureError: out of memory at this batch (the row says so; no smaller batch is tried), or
            the forward pass fails.
    """
    torch.backends.cudnn.benchmark = True  # speed is what a user gets after autotuning
    execution = Execution(random_network(row), row.job.settings, row.device)
    on_gpu = execution.device.type == "cuda"
    memory = PeakMemory(execution.device)
    with explaining(row.batch_size, execution):
        batch = execution.noise(row.batch_size, row.preprocess)

    def step() -> None:
        execution.forward(batch)

    found = time_parts(
        row,
        execution,
        (step,),
        memory,
        batch_size=row.batch_size,
        clock=clock_for(execution.device),
        budget=budget_for(row, execution),
        with_reference=not on_gpu,
    )
    if not on_gpu:
        return Result(Throughput(**dict(found.timed)))
    with explaining(row.batch_size, execution):
        launch_s = _launch_s(step, execution)
        peak = peak_if_it_fits(row, execution)
    return Result(
        Throughput(**dict(found.timed), launch_s=launch_s),
        conditions={"matmul_peak_tflops": peak},
    )


def peak_if_it_fits(row: Row, execution: Execution) -> float | None:
    """Return the matrix product peak, or None, with a note, where its matrices do not fit.

    The speed is measured by then: a batch that fills the memory keeps it.
    """
    try:
        return matmul_peak_tflops(execution)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        row.tell(f"no MFU: no memory for its matrix products: {first_line(error)}")
        return None


def _launch_s(step: Step, execution: Execution) -> tuple[float, ...]:
    """Return the host's seconds to launch a step, with the device idle before each."""
    seconds = []
    for _ in range(_LAUNCHES):
        execution.synchronize()
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    execution.synchronize()
    return tuple(seconds)
