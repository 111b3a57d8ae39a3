"""What a GPU's watch makes of NVML's answers, by an NVML that the test invents."""

import threading
import time
from types import SimpleNamespace

import pynvml
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.measure import gpu
from bench.measure.gpu import POWER_CAP, SLOWDOWNS, GpuWatch, steps_under
from bench.measure.timing import Timing
from bench.nvml import Gpu
from bench.records import GpuSample
from tests.bench.fake_nvml import NAMES, Device, FakeNvml, install, mig_card

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


CARD = Device("GPU-1")


def _watch(nvml: FakeNvml) -> GpuWatch:
    return GpuWatch(Gpu(nvml, CARD, CARD))


def test_before_and_after_are_seen_with_energy_and_slowdowns() -> None:
    nvml = FakeNvml()
    watch = _watch(nvml)
    with watch.watching():
        nvml.reasons = pynvml.nvmlClocksThrottleReasonHwThermalSlowdown
    state = watch.state(STEP)
    before, after = state.samples[0], state.samples[-1]
    assert (before.sm_mhz, before.temperature_c, before.power_w) == (1980, 61, 650.5)
    assert before.slowdowns == ()
    assert before.other_processes == 1
    assert after.slowdowns == ("HwThermalSlowdown",)
    assert after.at_s >= before.at_s
    assert state.energy_j == pytest.approx(1200)
    assert (state.throttled_steps, state.power_capped_steps) == ((0,), ())
    assert state.note is None


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_the_power_cap_is_apart_from_all_slowdowns(name: str, newer: bool) -> None:
    nvml = FakeNvml(newer=newer)
    nvml.reasons = getattr(pynvml, f"nvmlClocksThrottleReason{name}")
    watch = _watch(nvml)
    with watch.watching():
        pass
    state = watch.state(STEP)
    capped = name == POWER_CAP
    assert state.power_capped_steps == ((0,) if capped else ())
    assert state.throttled_steps == (() if capped else (0,))


def test_a_mig_instance_is_watched_by_its_card_and_says_so() -> None:
    card = mig_card()
    watch = GpuWatch(Gpu(FakeNvml(cards=[card]), card.instances[0], card, is_mig=True))
    with watch.watching():
        pass
    state = watch.state(STEP)
    assert state.samples[0].power_w == 650.5
    assert state.energy_j == pytest.approx(1200)
    assert state.note == "a MIG instance: power, energy and clocks are the whole card's"


def test_an_idle_gpu_and_a_clock_that_the_user_set_are_no_slowdown() -> None:
    nvml = FakeNvml()
    nvml.reasons = (
        pynvml.nvmlClocksThrottleReasonGpuIdle
        | pynvml.nvmlClocksThrottleReasonApplicationsClocksSetting
    )
    watch = _watch(nvml)
    with watch.watching():
        pass
    assert watch.state(STEP).throttled_steps == ()
    assert watch.state(STEP).power_capped_steps == ()


def test_what_the_driver_does_not_tell_is_absent_with_its_reason() -> None:
    watch = _watch(FakeNvml("energy", "reasons", "processes", "clock"))
    with watch.watching():
        pass
    state = watch.state(STEP)
    assert state.energy_j is None
    assert state.throttled_steps is None
    assert state.power_capped_steps is None
    assert state.samples[0].other_processes is None
    assert state.samples[0].sm_mhz is None
    assert state.samples[0].temperature_c == 61
    assert state.note is not None
    assert state.note.count("no energy: Not Supported") == 1


def test_a_gpu_that_nvml_does_not_know_says_so() -> None:
    watch = GpuWatch(None, note="NVML: Driver Not Loaded")
    with watch.watching():
        pass
    state = watch.state(STEP)
    assert state.samples == ()
    assert state.throttled_steps is None
    assert state.note == "NVML: Driver Not Loaded"


def test_the_gpu_is_sampled_while_steps_run() -> None:
    nvml = FakeNvml()
    watch = _watch(nvml)
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
    found = steps_under(SLOWDOWNS, [i + 0.1 for i in range(steps)], [0.8] * steps, samples)
    assert found == tuple(i for i in range(steps) if slow[i] or slow[i + 1])


@pytest.mark.parametrize(
    ("uuid", "note"), [("1", None), ("2", "NVML finds no GPU with the UUID 2")]
)
def test_a_cuda_device_is_watched_by_its_uuid(
    uuid: str, note: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, FakeNvml())
    properties = SimpleNamespace(uuid=uuid)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    watch = gpu.watch(torch.device("cuda:0"))
    with watch.watching():
        pass
    state = watch.state(STEP)
    assert state.note == note
    assert bool(state.samples) is (note is None)
