"""Images/s of the model alone: forward passes on a batch that already lies on the device."""

import numpy as np
import torch

from bench.measure import Result, Row
from bench.measure.execution import Execution, explained
from bench.measure.memory import PeakMemory
from bench.measure.timing import Budget, CpuClock, CudaClock, timed
from bench.records import Throughput
from zoo import build


def run(row: Row) -> Result:
    """Time forward passes. Weights do not change the work, so none are loaded.

    Raises:
        MeasureError: out of memory at this batch (the row says so; no smaller batch is tried), or
            the forward pass fails.
    """
    torch.backends.cudnn.benchmark = True  # speed is what a user gets after autotuning
    budget = Budget()
    execution = Execution(build.random_network(row.entry), row.job.settings, row.device)
    pixels = np.random.default_rng(0).integers(
        0, 256, (row.batch_size, *row.preprocess.crop_px, row.preprocess.input_channels), np.uint8
    )
    batch = execution.place(pixels, row.preprocess)
    memory = PeakMemory(execution.device)
    first_call_s = execution.seconds_of_first_call(batch)
    clock = CudaClock(execution.device) if execution.device.type == "cuda" else CpuClock()
    try:
        timing = timed(lambda: execution.forward(batch), clock, budget)
    except RuntimeError as error:
        raise explained(error, row.batch_size, execution.device) from error
    peak_bytes, kind = memory.peak()
    row.progress(len(timing.steps_s), len(timing.steps_s), "steps")
    return Result(
        Throughput(
            batch_size=row.batch_size,
            first_call_s=first_call_s,
            warmup_steps=budget.warmup_steps,
            steps_s=timing.steps_s,
            wall_s=timing.wall_s,
            clock="cuda_event" if execution.device.type == "cuda" else "perf_counter",
            peak_memory_bytes=peak_bytes,
            peak_memory_kind=kind,
        )
    )
