"""A GPU's clock, temperature, power, slow-downs and company around timed steps, by NVML.

**Untested on a GPU**; the logic is tested with a handle that a test invents.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from bench.measure.timing import Timing
from bench.records import GpuSample, GpuState

# NVML's clock reasons that make a GPU slower than it could be; a clock that the user has set, or
# an idle GPU, is none.
SLOWDOWNS = (
    "SwPowerCap",
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
        nvml: the module ``pynvml``.
        handle: NVML's handle of the GPU, or None if it has none; ``note`` says why.
        now: wall-clock seconds.
    """

    def __init__(
        self,
        nvml: Any,
        handle: Any,
        *,
        note: str | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._nvml = nvml
        self._handle = handle
        self._notes = [note] if note else []
        self._now = now
        self._samples: list[GpuSample] = []
        self._energy_j: float | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Sample while the context lasts."""
        if self._handle is None:
            yield
            return
        self.sample()
        energy_mj = self._read("energy", self._nvml.nvmlDeviceGetTotalEnergyConsumption)
        done = threading.Event()
        thread = threading.Thread(target=self._sample_until, args=(done,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            after_mj = self._read("energy", self._nvml.nvmlDeviceGetTotalEnergyConsumption)
            self.sample()
        if energy_mj is not None and after_mj is not None:
            self._energy_j = (after_mj - energy_mj) / 1e3

    def _sample_until(self, done: threading.Event) -> None:
        while not done.wait(_INTERVAL_S):
            self.sample()

    def sample(self) -> None:
        """Keep the GPU's state of this moment, by the wall clock."""
        nvml = self._nvml
        power_mw = self._read("power", nvml.nvmlDeviceGetPowerUsage)
        reasons = self._read("slow-downs", nvml.nvmlDeviceGetCurrentClocksThrottleReasons)
        processes = self._read("other processes", nvml.nvmlDeviceGetComputeRunningProcesses)
        self._samples.append(
            GpuSample(
                at_s=self._now(),
                sm_mhz=self._read("SM clock", nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_SM),
                temperature_c=self._read(
                    "temperature", nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU
                ),
                power_w=None if power_mw is None else power_mw / 1e3,
                slowdowns=None if reasons is None else self._names(reasons),
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
            throttled_steps=throttled(timing.offsets_s, timing.steps_s, samples),
            energy_j=self._energy_j,
            note="; ".join(self._notes) or None,
        )

    def _names(self, reasons: int) -> tuple[str, ...]:
        return tuple(
            name
            for name in SLOWDOWNS
            if reasons & getattr(self._nvml, f"nvmlClocksThrottleReason{name}")
        )

    def _read(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what NVML answers, or None; the first refusal of each kind is noted."""
        try:
            return function(self._handle, *arguments)
        except self._nvml.NVMLError as error:
            note = f"no {what}: {error}"
            if note not in self._notes:
                self._notes.append(note)
            return None


def watch(device: torch.device) -> GpuWatch:
    """Return the watch of a CUDA device; where NVML knows none, one that only says so."""
    import pynvml

    try:
        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(device).uuid
        return GpuWatch(pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"))
    except pynvml.NVMLError as error:
        return GpuWatch(pynvml, None, note=f"NVML: {error}")


def throttled(
    offsets_s: Sequence[float], steps_s: Sequence[float], samples: Sequence[GpuSample]
) -> tuple[int, ...] | None:
    """Return which steps ran while the GPU was slowed down; None if nobody knows.

    A slow-down that a sample sees is taken to last from the sample before to the one after.
    """
    if not samples or any(sample.slowdowns is None for sample in samples):
        return None
    spans = [
        (samples[max(0, i - 1)].at_s, samples[min(len(samples) - 1, i + 1)].at_s)
        for i, sample in enumerate(samples)
        if sample.slowdowns
    ]
    return tuple(
        i
        for i, (begin, length) in enumerate(zip(offsets_s, steps_s, strict=True))
        if any(begin < high and low < begin + length for low, high in spans)
    )
