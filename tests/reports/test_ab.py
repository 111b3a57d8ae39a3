"""A comparison as a table, as JSON and as an exit code, from its raw rounds alone."""

import json
from typing import Any, Literal

import pytest

from bench.records import ComparedRow, Comparison, Round, Side
from reports.ab import exit_code, frame, render, sheet
from reports.render import terminal


def _row(entry: str, ratio: float, rounds: int = 30, **fields: Any) -> ComparedRow:
    first: Literal["a", "b"] = "a"
    # Some spread, so that the interval has a width: ± 0.5 %.
    raw = tuple(
        Round(first=first, a_steps_s=(0.02,), b_steps_s=(0.02 * ratio * (1 + (i % 3 - 1) / 200),))
        for i in range(rounds)
    )
    conditions = {"conditions": {"torch": "2.14.1"}}
    return ComparedRow(
        entry=entry,
        network=f"timm/{entry}",
        status="measured",
        batch_size=32,
        threads=2,
        rounds=raw,
        seconds=12,
        **{"a": conditions, "b": conditions, **fields},
    )


FAILED = ComparedRow(
    entry="vit_large_patch16_224.augreg_in21k_ft_in1k",
    network="timm/vit",
    status="failed",
    reason="side b: the worker died: killed by SIGKILL (out of memory?)",
    seconds=9,
)
NOISY = _row("noisy", 1.03, rounds=5)


def _comparison(*rows: ComparedRow) -> Comparison:
    python = "/opt/venv/bin/python"
    return Comparison(
        started_at="2026-01-01T00:00:00+00:00",
        threshold=0.05,
        budget_s=60,
        seed=1,
        a=Side(settings={"precision": "fp32"}, python=python, revision="main", commit="f" * 40),
        b=Side(settings={"precision": "bf16"}, python=python, revision="working tree"),
        rows=rows,
    )


def test_the_frame_is_of_the_raw_rounds() -> None:
    found = frame(_comparison(_row("one", 1.1), FAILED, NOISY)).set_index("entry")
    assert found["verdict"].tolist() == ["slower", "failed", "ambiguous"]
    one = found.loc["one"]
    assert one["ratio"] == pytest.approx(1.1)
    assert one["ratio_low"] == pytest.approx(1.1 * 0.995)
    assert one["b_step_median_s"] == pytest.approx(0.022)
    assert found.loc[["noisy"], "ratio_low"].isna().all()


def test_a_rows_figures_are_of_the_fresh_processes_that_had_the_last_word() -> None:
    again = _row("one", 1.0).rounds
    one = frame(_comparison(_row("one", 1.1, again=again))).loc[0]
    assert (one["verdict"], one["rounds"]) == ("same", 60)
    assert one["ratio"] == pytest.approx(1.0)
    assert one["b_step_median_s"] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([_row("one", 1.0)], 0),
        ([_row("one", 1.0), _row("two", 0.9)], 0),
        ([_row("one", 1.0), NOISY], 3),
        ([_row("one", 1.1), NOISY], 1),
        ([_row("one", 1.0), FAILED], 1),
    ],
)
def test_the_exit_code_is_of_the_worst_row(rows: list[ComparedRow], code: int) -> None:
    assert exit_code(_comparison(*rows)) == code


def test_a_terminal_of_80_columns_holds_it_and_says_why_rows_failed() -> None:
    comparison = _comparison(_row("efficientnet_lite0", 1.1), FAILED, NOISY)
    text = terminal.render(sheet(frame(comparison), comparison), width=80)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[:2] == [
        "a: precision=fp32, main (ffffffffffff)",
        "b: precision=bf16, working tree",
    ]
    row = next(line for line in lines if line.startswith("efficientnet_lite0"))
    assert row.split()[1:6] == ["slower", "1.100", "[1.095,", "1.105]", "20.00"]
    assert "killed by SIGKILL (out of memory?)" in text.replace("\n", "")
    assert "ambiguous: 60 s of rounds" in text


def test_versions_that_differ_are_told_of_each_side() -> None:
    row = _row("one", 1.0, b={"conditions": {"torch": "2.15.0"}})
    comparison = _comparison(row)
    assert sheet(frame(comparison), comparison).header[1].endswith("working tree, torch 2.15.0")


def test_markdown_and_json_are_whole() -> None:
    comparison = _comparison(_row("one", 1.1), FAILED)
    text = render(comparison, "md").decode()
    assert "| one | **slower** | 1.100 | [1.095, 1.105] |" in text
    document = json.loads(render(comparison, "json"))
    assert [row["verdict"] for row in document["rows"]] == ["slower", "failed"]
    assert document["rows"][1]["ratio"] is None
    assert document["threshold"] == 0.05
