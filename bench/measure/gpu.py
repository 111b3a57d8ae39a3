"""A GPU's clock, temperature, power, slow-downs and other processes around timed steps, by NVML.

Run on an H100; what it did not show (slow-downs, MIG) is tested with an NVML that a test invents.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from bench import nvml
from bench.measure.timing import Timing
from bench.records import GpuSample, GpuState
from zoo.errors import MeasureError

# NVML's reasons to clock lower. At its power limit a GPU runs heavy work all the time: that is its
# steady state. The others mean that it is slower than it could be. A clock that the user has set,
# and an idle GPU, are neither.
POWER_CAP = "SwPowerCap"
SLOWDOWNS = (
    "HwSlowdown",
    "SyncBoost",
    "SwThermalSlowdown",
    "HwThermalSlowdown",
    "HwPowerBrakeSlowdown",
)
# Often enough to see a slow-down of a second, and too rarely to disturb a launch.
_INTERVAL_S = 0.1


class GpuWatch:
    """Samples a GPU before, while and after the steps run, without making the device wait.

    Args:
        gpu: the device, or None if NVML does not know it; ``note`` says why.
        now: wall-clock seconds.
    """

    def __init__(
        self,
        gpu: nvml.Gpu | None,
        *,
        note: str | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._gpu = gpu
        self._notes = [note] if note else []
        if gpu is not None and gpu.is_mig:
            self._notes.append("a MIG instance: power, energy and clocks are the whole card's")
        self._now = now
        self._samples: list[GpuSample] = []
        self._energy_j: float | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Sample while the context lasts."""
        if self._gpu is None:
            yield
            return
        self.sample()
        energy_mj = self._energy_mj()
        done = threading.Event()
        thread = threading.Thread(target=self._sample_until, args=(done,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            after_mj = self._energy_mj()
            self.sample()
        if energy_mj is not None and after_mj is not None:
            self._energy_j = (after_mj - energy_mj) / 1e3

    def _energy_mj(self) -> int | None:
        found: int | None = self._card("energy", "nvmlDeviceGetTotalEnergyConsumption")
        return found

    def _sample_until(self, done: threading.Event) -> None:
        while not done.wait(_INTERVAL_S):
            self.sample()

    def sample(self) -> None:
        """Keep the GPU's state of this moment, by the wall clock."""
        assert self._gpu is not None
        library = self._gpu.nvml
        power_mw = self._card("power", "nvmlDeviceGetPowerUsage")
        reasons = self._card("slow-downs", _reasons_function(library))
        processes = self._read(
            "other processes", "nvmlDeviceGetComputeRunningProcesses", self._gpu.device
        )
        self._samples.append(
            GpuSample(
                at_s=self._now(),
                sm_mhz=self._card("SM clock", "nvmlDeviceGetClockInfo", library.NVML_CLOCK_SM),
                temperature_c=self._card(
                    "temperature", "nvmlDeviceGetTemperature", library.NVML_TEMPERATURE_GPU
                ),
                power_w=None if power_mw is None else power_mw / 1e3,
                slowdowns=None if reasons is None else _names(library, reasons),
                # One of them is this process, whatever its number is outside a container.
                other_processes=None if processes is None else max(0, len(processes) - 1),
            )
        )

    def state(self, timing: Timing) -> GpuState:
        """Return what was seen, and which of the timed steps were slowed down."""
        samples = [
            sample.model_copy(update={"at_s": sample.at_s - timing.began_s})
            for sample in self._samples
        ]
        return GpuState(
            samples=tuple(samples),
            throttled_steps=steps_under(SLOWDOWNS, timing.offsets_s, timing.steps_s, samples),
            power_capped_steps=steps_under((POWER_CAP,), timing.offsets_s, timing.steps_s, samples),
            energy_j=self._energy_j,
            note="; ".join(self._notes) or None,
        )

    def _card(self, what: str, function: str, *arguments: Any) -> Any:
        """Return what NVML answers for the whole card."""
        assert self._gpu is not None
        return self._read(what, function, self._gpu.card, *arguments)

    def _read(self, what: str, function: str, *arguments: Any) -> Any:
        """Return what NVML answers, or None; the first refusal of each kind is noted."""
        assert self._gpu is not None
        library = self._gpu.nvml
        try:
            return getattr(library, function)(*arguments)
        except library.NVMLError as error:
            note = f"no {what}: {error}"
            if note not in self._notes:
                self._notes.append(note)
            return None


def watch(device: torch.device) -> GpuWatch:
    """Return the watch of a CUDA device; where NVML does not know it, one that only says so."""
    index = torch.cuda.current_device() if device.index is None else device.index
    uuid = str(torch.cuda.get_device_properties(index).uuid)
    try:
        return GpuWatch(nvml.find(index, uuid))
    except MeasureError as error:
        return GpuWatch(None, note=str(error))


def _reasons_function(library: Any) -> str:
    """Return the name that this pynvml has for it: newer ones call the reasons events'."""
    older = "nvmlDeviceGetCurrentClocksThrottleReasons"  # which older drivers know too
    return older if hasattr(library, older) else "nvmlDeviceGetCurrentClocksEventReasons"


def _names(library: Any, reasons: int) -> tuple[str, ...]:
    return tuple(name for name in (POWER_CAP, *SLOWDOWNS) if reasons & _bit(library, name))


def _bit(library: Any, name: str) -> int:
    older = f"nvmlClocksThrottleReason{name}"
    bit: int = getattr(
        library, older if hasattr(library, older) else f"nvmlClocksEventReason{name}"
    )
    return bit


def steps_under(
    reasons: Sequence[str],
    offsets_s: Sequence[float],
    steps_s: Sequence[float],
    samples: Sequence[GpuSample],
) -> tuple[int, ...] | None:
    """Return the indices of the steps that ran while a reason to clock lower held.

    None if there was no sample, or one for which the driver does not report reasons. A reason that
    a sample sees is taken to last from the sample before to the one after.

    Args:
        reasons: any of them.
        offsets_s: when each step began, on the clock of the samples.
        steps_s: how long each step ran.
        samples: in the order of time.
    """
    if not samples or any(sample.slowdowns is None for sample in samples):
        return None
    spans = [
        (samples[max(0, i - 1)].at_s, samples[min(len(samples) - 1, i + 1)].at_s)
        for i, sample in enumerate(samples)
        if set(reasons) & set(sample.slowdowns or ())
    ]
    return tuple(
        i
        for i, (begin, length) in enumerate(zip(offsets_s, steps_s, strict=True))
        if any(begin < high and low < begin + length for low, high in spans)
    )
