"""What ``make sota`` does: speeds of a GPU beside FocalNet's Table 1, each with its verdict."""

import io
from pathlib import Path

import pandas as pd
import pytest

from bench.cli.main import main
from bench.records import Record, RowKey, Throughput
from bench.store import Store
from zoo.entry import Entry
from zoo.manifest import load
from zoo.published import load_rows

MAKEFILE = Path(__file__).parents[2] / "Makefile"
# Of the printed images/s on a V100: a GPU four times as fast.
FACTOR = 4.0
GPU = "NVIDIA H100 80GB HBM3"
OFF = "swin_tiny_patch4_window7_224.ms_in1k"


def _record(entry: Entry, images_per_s: float, *, device: str) -> Record:
    steps_s = (128 / images_per_s,) * 20
    key = RowKey(
        entry=entry.name,
        network=entry.network_id,
        input_px="224x224",
        device=device,
        device_name=GPU if device == "cuda" else "AMD EPYC",
        precision="amp",
        memory_format="channels_last",
        compile="eager",
        batch_size=128,
    )
    evidence = Throughput(
        batch_size=128,
        first_call_s=1.0,
        warmup_steps=8,
        steps_s=steps_s,
        wall_s=sum(steps_s),
        clock="cuda_event",
        peak_memory_bytes=10**9,
        peak_memory_kind="cuda_allocator",
    )
    return Record(
        measure="throughput",
        key=key,
        status="measured",
        evidence=evidence,
        started_at="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        conditions={},
    )


def _measure(device: str) -> None:
    """Fill the folder's store as a run on a device does; one network is slower than its ratio."""
    speeds = {row.entry: float(row.images_per_s) for row in load_rows("focalnet")}
    store = Store("zoobench-results")
    for entry in load("sota").entries:
        if entry.name in speeds:
            slower = 0.5 if entry.name == OFF else 1.0
            store.append(_record(entry, FACTOR * slower * speeds[entry.name], device=device))


def _report(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["report", "--table", "focalnet", *words])
    assert not caught.value.code
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_printed_speed_has_a_verdict_by_its_ratio(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _measure("cuda")
    cells = pd.read_csv(io.StringIO(_report(capsys, "--format", "csv")))
    speeds = cells[cells["figure"] == "images_per_s"].set_index("row")
    assert len(speeds) == 32
    verdicts = speeds.pop("verdict")
    assert (verdicts.drop(["ResNet-50", "Swin-Tiny"]) == "reproduced").all()
    assert verdicts["Swin-Tiny"] == "differs"
    assert "device NVIDIA H100 80GB HBM3, the claim's is V100" in speeds.loc["Swin-Tiny", "reason"]
    assert verdicts["ResNet-50"] == "claim only"
    assert speeds["measured"].notna().all()
    assert speeds.loc["FocalNet-T (SRF)", "measured_ratio"] == pytest.approx(743 / 1294)
    # Entries whose speed alone was measured keep the counts that come with zoobench.
    assert cells.loc[cells["figure"] == "gflops", "measured"].notna().all()


def test_the_terminal_has_both_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    _measure("cuda")
    text = _report(capsys)
    assert max(len(line) for line in text.splitlines()) <= 80
    for words in ("743 2972 0.57 0.57 = 82.1", "760 1520 0.59 0.29 ≠ 81.2"):
        assert words in " ".join(text.split())


def test_a_cpus_speeds_are_shown_and_not_judged(capsys: pytest.CaptureFixture[str]) -> None:
    _measure("cpu")
    cells = pd.read_csv(io.StringIO(_report(capsys, "--format", "csv")))
    speeds = cells[cells["figure"] == "images_per_s"]
    assert set(speeds["verdict"]) == {"claim only"}
    assert speeds["measured"].notna().all()


def test_make_sota_measures_under_the_claims_conditions() -> None:
    recipe = MAKEFILE.read_text().partition("\nsota:")[2].partition("\n\n")[0]
    for part in (
        "run --manifest sota --figures speed --precision amp --batch 128",
        "report --table focalnet",
    ):
        assert part in recipe
