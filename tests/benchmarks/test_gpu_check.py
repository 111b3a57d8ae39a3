"""The check of a GPU runs through on a CPU, so that it works when there is a GPU for it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu_check
from benchmarks.gpu_check import SECTIONS, Check, markdown


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Return what the sections that measure in their own process found, by section."""
    check = Check("cpu", tmp_path_factory.mktemp("check"), "", smoke=True)
    for name in ("card", "flips", "throughput", "latency", "end_to_end", "memory", "spread"):
        SECTIONS[name](check)
    text = "\n".join(markdown(check.out))
    assert "## end_to_end" in text
    found: dict[str, list[dict[str, Any]]] = {}
    for line in (check.out / "results.jsonl").read_text().splitlines():
        row = json.loads(line)
        found.setdefault(row["section"], []).append(row)
    return found


def test_every_section_measures_and_none_fails(evidence: dict[str, list[dict[str, Any]]]) -> None:
    rows = [row for found in evidence.values() for row in found]
    assert [row for row in rows if "error" in row] == []
    assert set(evidence) == {
        *("conditions", "flips", "throughput", "latency", "end_to_end", "spread"),
    }


def test_the_reference_does_not_flip_and_bf16_differs(
    evidence: dict[str, list[dict[str, Any]]],
) -> None:
    by_setting = {row["setting"]: row for row in evidence["flips"]}
    assert by_setting["fp32"]["largest_difference"] == 0
    assert by_setting["bf16"]["largest_difference"] > 0


def test_the_slower_stage_is_what_an_end_to_end_pass_is_held_against(
    evidence: dict[str, list[dict[str, Any]]],
) -> None:
    for row in evidence["end_to_end"]:
        slower = min(row["decode_alone"], row["model_alone"])
        assert row["of_the_slower"] == pytest.approx(row["end_to_end"] / slower, rel=0.05)


def test_the_script_runs_each_section_in_a_process_and_says_what_was_late(tmp_path: Path) -> None:
    command = [sys.executable, gpu_check.__file__, "--smoke", "--out", str(tmp_path)]
    subprocess.run([*command, "--only", "card"], check=True, capture_output=True)
    assert "## conditions" in (tmp_path / "table.md").read_text()
    subprocess.run([*command, "--only", "card", "--budget", "1"], check=True, capture_output=True)
    (row,) = map(json.loads, (tmp_path / "results.jsonl").read_text().splitlines())
    assert row == {"section": "late", "skipped": "card"}
