"""The largest batch that fits: ``--batch auto``, by growth and bisection."""

import gc
import math
from collections.abc import Callable

import torch

from bench.conditions import available_memory_bytes
from bench.measure import Batch, Row
from bench.measure.execution import Execution, explained, is_out_of_memory, is_sticky
from bench.measure.memory import PeakMemory, resident_bytes_after_trim
from bench.measure.speed import random_network
from bench.measure.train import TrainingStep, training_execution
from zoo.errors import MeasureError

# Larger ones gain no speed on a processor, and take minutes a step.
CAPS = {"cpu": 256, "cuda": 8192}
# How much the batch grows from one trial to the next. On a CPU a batch is weighed by the last one,
# so it must not be much larger; on a GPU a mistake costs one trial.
_GROWTH = {"cpu": 2, "cuda": 8}
# The result is within this share of the largest batch, and a multiple of _MULTIPLE above _EXACT_TO:
# kernels are made for such batches, and the last images gain no speed.
_WITHIN = 1 / 16
_MULTIPLE = 8
_EXACT_TO = 64
# Of the memory that is available, what a batch may take on a CPU, where a mistake kills.
_SHARE = 0.5
# The largest batch that is tried on a CPU; of larger ones the memory is extrapolated.
_LARGEST_TRIAL = 16

Fits = Callable[[int], bool]


def find(row: Row) -> Batch:
    """Return the largest batch that fits for everything that the row measures.

    Raises:
        MeasureError: not even one image fits, or the network fails on one.
    """
    # Every batch would be autotuned, for seconds. The row's own autotuning takes the kernels whose
    # workspaces fit.
    torch.backends.cudnn.benchmark = False
    trial = _Trial(row)
    kind = trial.device.type
    try:
        fits = FitsOnGpu(trial.run) if kind == "cuda" else _fits_on_cpu(row, trial)
        size = largest(fits, CAPS[kind], _GROWTH[kind])
        if kind == "cuda":
            size = confirmed(size, FitsOnGpu(trial.run_as_measured))
    except RuntimeError as error:
        raise explained(error, 1, trial.device) from error
    if size == 0:
        raise MeasureError(f"out of memory at batch 1 on {trial.device}: no batch fits")
    bound = f"the cap of {CAPS[kind]}" if size == CAPS[kind] else "memory"
    return Batch(size, "auto", f"auto: bounded by {bound}")


def largest(fits: Fits, cap: int, growth: int) -> int:
    """Return the largest batch up to ``cap`` that fits, or 0 if not even 1 does.

    It is exact up to 17; above, it is less than 1/16 or 8 images below the largest, and above 64 a
    multiple of 8. Assumes that whatever is smaller than a batch that fits, fits.
    """
    fitting, too_large = 0, cap + 1
    while fitting < cap and too_large == cap + 1:
        trial = min(max(1, growth * fitting), cap)
        if fits(trial):
            fitting = trial
        else:
            too_large = trial
    while (between := _between(fitting, too_large)) is not None:
        if fits(between):
            fitting = between
        else:
            too_large = between
    return fitting


def confirmed(size: int, runs: Fits) -> int:
    """Return the batch, or the next one an eighth smaller that runs as the measurement runs it.

    One step is not enough to know: autotuning takes memory too, and later steps find the
    allocator's memory in other pieces.
    """
    while size > 0 and not runs(size):
        smaller = size - max(1, size // 8)
        size = smaller - smaller % _MULTIPLE if smaller > _EXACT_TO else smaller
    return size


def _between(fitting: int, too_large: int) -> int | None:
    """Return a batch to try next, or None if what fits is close enough to the largest."""
    step = _MULTIPLE if fitting >= _EXACT_TO else 1
    if too_large - fitting <= max(step, fitting * _WITHIN):
        return None
    middle = math.isqrt(fitting * too_large)  # as many trials up as down
    if middle > _EXACT_TO:
        middle -= middle % _MULTIPLE
    return max(middle, fitting + step)


class FitsOnGpu:
    """Whether a batch runs on a GPU.

    Whatever a larger batch raises and a smaller one did not means that it does not fit: cuDNN and
    cuBLAS have their own words for it.
    """

    def __init__(self, run: Callable[[int], object]) -> None:
        self._run = run
        self._has_run = False

    def __call__(self, batch: int) -> bool:
        """Run the batch, and give its memory back."""
        try:
            self._run(batch)
        except RuntimeError as error:
            if is_sticky(error) or not (self._has_run or is_out_of_memory(error)):
                raise
            return False
        finally:
            gc.collect()
            torch.cuda.empty_cache()
        self._has_run = True
        return True


class FitsOnCpu:
    """Whether a batch would fit, without finding out by being killed.

    Small batches are run, and the growth of the resident set is divided by their images. A batch
    fits if its images times that growth are within the allowance; larger ones than
    ``_LARGEST_TRIAL`` are never run.

    Args:
        growth_bytes: runs a batch, and returns how far the resident set rose for it.
        allowance_bytes: what a batch may take.
        input_bytes: of one image, the least that it takes, should the process have room for the
            first batches already.
    """

    def __init__(
        self, growth_bytes: Callable[[int], int], allowance_bytes: float, input_bytes: float
    ) -> None:
        self._growth_bytes = growth_bytes
        self._allowance_bytes = allowance_bytes
        self._input_bytes = self._bytes_an_image = input_bytes

    def __call__(self, batch: int) -> bool:
        """Return whether the batch fits."""
        fits = batch * self._bytes_an_image <= self._allowance_bytes
        if fits and batch <= _LARGEST_TRIAL:
            self._bytes_an_image = max(self._growth_bytes(batch) / batch, self._input_bytes)
            fits = batch * self._bytes_an_image <= self._allowance_bytes
        return fits


def _fits_on_cpu(row: Row, trial: "_Trial") -> FitsOnCpu:
    available = available_memory_bytes()
    if available is None:
        raise MeasureError(
            "--batch auto on a CPU needs to know the memory that is available, and this system "
            "has no /proc/meminfo; give a number"
        )
    before = resident_bytes_after_trim()

    def growth_bytes(batch: int) -> int:
        peak = PeakMemory(trial.device)
        trial.run(batch)
        return peak.peak()[0] - before

    return FitsOnCpu(growth_bytes, _SHARE * available, trial.input_bytes)


class _Trial:
    """One step of the row's network, at any batch: a training step if the row has any."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self._trains = "training" in row.job.measures
        if self._trains:
            self._execution = training_execution(row)
        else:
            self._execution = Execution(random_network(row), row.job.settings, row.device)
        self.device = self._execution.device
        pixels = math.prod((*row.preprocess.crop_px, row.preprocess.input_channels))
        self.input_bytes = pixels * self._execution.dtype.itemsize

    def run_as_measured(self, size: int) -> None:
        """Run several steps of ``size`` images with autotuning, from one batch."""
        torch.backends.cudnn.benchmark = True
        try:
            self.run(size, steps=3)
        finally:
            torch.backends.cudnn.benchmark = False

    def run(self, size: int, steps: int = 1) -> None:
        """Run steps on one batch of ``size`` images, and wait for them."""
        batch = self._execution.noise(size, self._row.preprocess)
        for step in self._steps_on(batch) * steps:
            step()
        self._execution.synchronize()

    def _steps_on(self, batch: torch.Tensor) -> list[Callable[[], object]]:
        if not self._trains:
            return [lambda: self._execution.forward(batch)]
        step = TrainingStep(self._execution, batch)
        return [step.forward, step.backward, step.optimize]
