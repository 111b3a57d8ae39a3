"""What a GPU's watch makes of NVML's answers, by an NVML that the test invents."""

import threading
import time
from typing import Any

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.gpu import SLOWDOWNS, GpuWatch, throttled
from bench.measure.timing import Timing
from bench.records import GpuSample

# One step, which begins when the tests are collected and outlasts them all.
STEP = Timing(
    steps_s=(1e6,),
    wall_s=1e6,
    parts_s=((1e6,),),
    began_s=time.perf_counter(),
    offsets_s=(0.0,),
    stretches=(1,),
    between_s=(),
    warmup_steps=0,
    warmed_up="fixed",
    ended="floors",
)


class FakeError(Exception):
    pass


class FakeNvml:
    """Answers as NVML does; what is named in ``refused`` is not supported."""

    NVMLError = FakeError
    NVML_CLOCK_SM = pynvml.NVML_CLOCK_SM
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.reasons = 0
        self.samples = 0
        self.energy_mj = 5_000_000
        for name in SLOWDOWNS:
            constant = f"nvmlClocksThrottleReason{name}"
            setattr(self, constant, getattr(pynvml, constant))

    def _answer(self, name: str, value: Any) -> Any:
        if name in self.refused:
            raise FakeError("Not Supported")
        return value

    def nvmlDeviceGetClockInfo(self, handle: object, kind: int) -> Any:
        assert kind == self.NVML_CLOCK_SM
        return self._answer("clock", 1980)

    def nvmlDeviceGetTemperature(self, handle: object, sensor: int) -> Any:
        self.samples += 1
        return self._answer("temperature", 61)

    def nvmlDeviceGetPowerUsage(self, handle: object) -> Any:
        return self._answer("power", 650_500)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: object) -> Any:
        return self._answer("reasons", self.reasons)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: object) -> Any:
        return self._answer("processes", ["this one", "another"])

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: object) -> Any:
        self.energy_mj += 1_200_000
        return self._answer("energy", self.energy_mj)


def test_the_fake_has_the_names_of_the_real_one() -> None:
    for name in vars(FakeNvml):
        if name.startswith(("nvml", "NVML")):
            assert hasattr(pynvml, name), name


def test_before_and_after_are_seen_with_energy_and_slowdowns() -> None:
    nvml = FakeNvml()
    watch = GpuWatch(nvml, "handle")
    with watch.watching():
        nvml.reasons = pynvml.nvmlClocksThrottleReasonSwPowerCap
    state = watch.state(STEP)
    before, after = state.samples[0], state.samples[-1]
    assert (before.sm_mhz, before.temperature_c, before.power_w) == (1980, 61, 650.5)
    assert before.slowdowns == ()
    assert before.other_processes == 1
    assert after.slowdowns == ("SwPowerCap",)
    assert after.at_s >= before.at_s
    assert state.energy_j == pytest.approx(1200)
    assert state.throttled_steps == (0,)
    assert state.note is None


def test_an_idle_gpu_and_a_clock_that_the_user_set_are_no_slowdown() -> None:
    nvml = FakeNvml()
    nvml.reasons = (
        pynvml.nvmlClocksThrottleReasonGpuIdle
        | pynvml.nvmlClocksThrottleReasonApplicationsClocksSetting
    )
    watch = GpuWatch(nvml, "handle")
    with watch.watching():
        pass
    assert watch.state(STEP).throttled_steps == ()


def test_what_the_driver_does_not_tell_is_absent_with_its_reason() -> None:
    watch = GpuWatch(FakeNvml("energy", "reasons", "processes", "clock"), "handle")
    with watch.watching():
        pass
    state = watch.state(STEP)
    assert state.energy_j is None
    assert state.throttled_steps is None
    assert state.samples[0].other_processes is None
    assert state.samples[0].sm_mhz is None
    assert state.samples[0].temperature_c == 61
    assert state.note is not None
    assert state.note.count("no energy: Not Supported") == 1


def test_a_gpu_that_nvml_does_not_know_says_so() -> None:
    watch = GpuWatch(FakeNvml(), None, note="NVML: Driver Not Loaded")
    with watch.watching():
        pass
    state = watch.state(STEP)
    assert state.samples == ()
    assert state.throttled_steps is None
    assert state.note == "NVML: Driver Not Loaded"


def test_the_gpu_is_sampled_while_steps_run() -> None:
    nvml = FakeNvml()
    watch = GpuWatch(nvml, "handle")
    with watch.watching():
        while nvml.samples < 3:
            threading.Event().wait(0.01)
    assert len(watch.state(STEP).samples) >= 4


def _sample(at_s: float, slow: bool) -> GpuSample:
    return GpuSample(
        at_s=at_s,
        sm_mhz=None,
        temperature_c=None,
        power_w=None,
        slowdowns=("HwSlowdown",) if slow else (),
        other_processes=None,
    )


@given(st.lists(st.booleans(), min_size=2, max_size=12))
def test_a_step_is_flagged_exactly_if_a_neighbouring_sample_was_slow(slow: list[bool]) -> None:
    samples = [_sample(float(i), is_slow) for i, is_slow in enumerate(slow)]
    steps = len(slow) - 1  # step i lies within the samples i and i + 1
    found = throttled([i + 0.1 for i in range(steps)], [0.8] * steps, samples)
    assert found == tuple(i for i in range(steps) if slow[i] or slow[i + 1])
