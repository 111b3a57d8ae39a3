"""How well a GPU was used: every column from evidence, absent where it was not measured."""

from typing import Any

import pandas as pd
import pytest

from bench.records import GpuSample, GpuState, RowKey, Throughput
from reports.frame import to_frame
from reports.table import render
from tests.reports.test_frame import (
    ACCURACY,
    COMPLEXITY,
    KEY,
    LATENCY,
    THROUGHPUT,
    TIMED,
    TRAINING,
    _record,
)

GPU_KEY = KEY.model_copy(update={"device": "cuda", "device_name": "NVIDIA H100", "batch_size": 8})
EVEN: dict[str, Any] = {**TIMED, "steps_s": (0.1,) * 20, "wall_s": 2.0, "clock": "cuda_event"}


def _sample(at_s: float, mhz: int = 1500, watts: float = 600.0, others: int = 0) -> GpuSample:
    return GpuSample(
        at_s=at_s,
        sm_mhz=mhz,
        temperature_c=60,
        power_w=watts,
        slowdowns=("SwPowerCap",),
        other_processes=others,
    )


def _state(*samples: GpuSample, **changes: Any) -> GpuState:
    fields: dict[str, Any] = {"throttled_steps": (), "energy_j": None, "note": None, **changes}
    return GpuState(samples=samples, **fields)


def _row(evidence: Throughput, peak: float | None = None, key: RowKey = GPU_KEY) -> Any:
    conditions = {} if peak is None else {"matmul_peak_tflops": peak}
    speed = _record(evidence, key=key.of("throughput"), conditions=conditions)
    return to_frame([_record(COMPLEXITY), speed]).iloc[0]


def test_power_and_clock_are_those_during_the_steps() -> None:
    idle = [_sample(-0.5, mhz=200, watts=70), _sample(2.1, mhz=300, watts=90)]
    busy = [
        _sample(0.0, mhz=1500, watts=600),
        _sample(1, mhz=1510, watts=620),
        _sample(2.0, mhz=1520, watts=640),
    ]
    gpu = _state(idle[0], *busy, idle[1], energy_j=320.0)
    row = _row(Throughput(**EVEN, gpu=gpu))
    assert (row["watts"], row["sm_mhz"]) == (620, 1510)
    assert row["energy_j_per_image"] == pytest.approx(320 / 160)


def test_a_counter_that_stood_still_gives_no_energy() -> None:
    row = _row(Throughput(**EVEN, gpu=_state(_sample(1), energy_j=0.0)))
    assert pd.isna(row["energy_j_per_image"])


@pytest.mark.parametrize(
    ("clocks", "noisy"),
    [
        ((1500,) * 8, False),
        # quartiles 10.0 and 10.2 % of the median apart
        ((950, 950, 950, 1000, 1000, 1050, 1050, 1050), False),
        ((949, 949, 949, 1000, 1000, 1051, 1051, 1051), True),
    ],
)
def test_a_power_capped_gpu_is_noisy_only_if_its_clock_varies(
    clocks: tuple[int, ...], noisy: bool
) -> None:
    samples = [_sample(0.2 * i, mhz) for i, mhz in enumerate(clocks)]
    gpu = _state(*samples, power_capped_steps=tuple(range(20)))
    row = _row(Throughput(**EVEN, gpu=gpu))
    assert bool(row["noisy"]) is noisy
    assert (row["power_capped_steps"], row["throttled_steps"]) == (20, 0)
    frame = to_frame([_record(Throughput(**EVEN, gpu=gpu), key=GPU_KEY.of("throughput"))])
    text = render(frame, "md").decode()
    assert ("SM clock's quartiles 10.2 % apart" in text) is noisy


def test_idle_clocks_before_and_after_make_no_noise() -> None:
    gpu = _state(_sample(-1, 200), *(_sample(i / 4) for i in range(9)), _sample(3, 200))
    assert not _row(Throughput(**EVEN, gpu=gpu))["noisy"]


def test_mfu_is_the_operations_done_over_the_measured_peak() -> None:
    # 2 · 2000 operations per image, 80 images/s, of 1e-6 · 1e12 operations/s
    assert _row(Throughput(**EVEN), peak=1e-6)["mfu"] == pytest.approx(2 * 2000 * 80 / 1e6)


def test_mfu_is_absent_without_peak_count_or_speed() -> None:
    assert pd.isna(_row(Throughput(**EVEN))["mfu"])
    speed = _record(
        Throughput(**EVEN), key=GPU_KEY.of("throughput"), conditions={"matmul_peak_tflops": 1.0}
    )
    assert pd.isna(to_frame([speed]).iloc[0]["mfu"])
    assert pd.isna(to_frame([_record(COMPLEXITY)]).iloc[0]["mfu"])


@pytest.mark.parametrize(
    ("launch_s", "bound"),
    [((0.0899,) * 20, False), ((0.0901,) * 20, True), ((0.02,) * 11 + (0.5,) * 9, False)],
)
def test_launch_bound_is_from_nine_tenths_of_the_devices_median(
    launch_s: tuple[float, ...], bound: bool
) -> None:
    row = _row(Throughput(**EVEN, launch_s=launch_s))
    assert bool(row["launch_bound"]) is bound


def test_what_was_not_measured_is_absent() -> None:
    row = _row(Throughput(**EVEN))
    names = ("launch_bound", "watts", "sm_mhz", "power_capped_steps", "other_processes")
    for name in (*names, "first_call_peak_memory_bytes"):
        assert pd.isna(row[name]), name


def test_latency_has_its_percentiles_and_is_not_throughput() -> None:
    steps_s = tuple(i / 1000 for i in range(1, 102))
    latency = LATENCY.model_copy(update={"steps_s": steps_s})
    row = to_frame([_record(latency, key=KEY.of("latency"))]).iloc[0]
    found = [row[f"latency_p{p}_s"] for p in (50, 90, 99)]
    assert found == pytest.approx([0.051, 0.091, 0.1])
    assert row["latency_requests"] == 101
    assert pd.isna(row["images_per_s"])


def _full_frame(**changes: Any) -> pd.DataFrame:
    gpu = _state(*(_sample(i / 10) for i in range(20)), energy_j=40.0)
    evidence = Throughput(
        **EVEN, gpu=gpu, launch_s=(0.095,) * 20, first_call_peak_memory_bytes=3 * 10**6
    ).model_copy(update=changes)
    key = GPU_KEY.of("throughput")
    speed = _record(evidence, key=key, conditions={"matmul_peak_tflops": 1e-6})
    requests = LATENCY.model_copy(update={"steps_s": (0.01,) * 100})
    latency = _record(requests, key=GPU_KEY.of("latency"))
    return to_frame([_record(COMPLEXITY), speed, latency])


TITLES = ("MFU %", "W", "J/img", "SM MHz", "launch-bound", "first call MB")


@pytest.mark.parametrize("format_name", ["md", "html", "latex", "terminal"])
def test_every_format_has_the_efficiency_of_a_gpu(
    format_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    text = render(_full_frame(), format_name).decode().replace("\\%", "%")
    for part in (*TITLES, "p50 ms", "p99 ms", "32.0", "600", "0.250", "1,500", "yes"):
        assert part in text, part
    assert "launch-bound, the host sets the pace: a, batch 8" in text


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_a_narrow_terminal_leaves_the_last_columns_out_and_says_so(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = render(_full_frame(), "terminal").decode()
    assert max(len(line) for line in text.splitlines()) <= width
    head = text.splitlines()[1]
    assert "p99 ms" in head
    shown = [title for title in TITLES if title in head]
    assert shown == list(TITLES[: len(shown)])
    left_out = ", ".join(TITLES[len(shown) :])
    assert (f"too narrow for: {left_out}" in " ".join(text.split())) is bool(left_out)
    assert bool(left_out) is (width < 120)


def test_a_row_of_a_cpu_has_latency_and_no_gpu_column_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    speed = THROUGHPUT.model_copy(update={"first_call_peak_memory_bytes": 10**6})
    frame = to_frame([_record(speed), _record(LATENCY, key=KEY.of("latency"))])
    text = render(frame, "terminal").decode()
    assert "p50 ms" in text
    assert "first call MB" not in text
    assert "first call MB" in render(frame, "md").decode()


def test_fp32_on_cuda_says_what_it_is() -> None:
    note = "fp32 without TF32; other harnesses' fp32 is usually TF32: --precision tf32"
    for evidence in (THROUGHPUT, LATENCY, TRAINING):
        for device, precision in (("cuda", "fp32"), ("cuda", "amp"), ("cpu", "fp32")):
            key = GPU_KEY.model_copy(update={"device": device, "precision": precision})
            record = _record(evidence, key=key.of(evidence.kind))
            text = render(to_frame([record, record]), "md").decode()
            assert text.count(note) == ((device, precision) == ("cuda", "fp32"))


def test_another_process_on_the_gpu_is_warned_of() -> None:
    gpu = _state(_sample(0.1), _sample(0.2, others=2), _sample(0.3, others=1))
    text = render(_full_frame(gpu=gpu), "md").decode()
    assert "! a, batch 8: other processes that used the GPU meanwhile: 2; measure again" in text
    assert "other processes" not in render(_full_frame(), "md").decode()


@pytest.mark.parametrize(
    ("evidence", "count"), [(ACCURACY, 3), (THROUGHPUT, 3), (COMPLEXITY, None)]
)
def test_another_process_is_seen_in_the_conditions_of_what_uses_the_gpu(
    evidence: Any, count: int | None
) -> None:
    key = GPU_KEY.of(evidence.kind)
    record = _record(evidence, key=key, conditions={"gpu": {"other_processes": 3}})
    found = to_frame([record]).iloc[0]["other_processes"]
    assert pd.isna(found) if count is None else found == count
