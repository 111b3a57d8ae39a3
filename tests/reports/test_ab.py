"""A comparison as a table, as JSON and as an exit code, from its raw rounds alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bench.records import ComparedRow, Comparison, Pair, Round, Side
from reports.ab import exit_code, frame, read, render, sheet
from reports.render import terminal
from zoo.errors import StoreError


def _pair(ratio: float) -> Pair:
    """Return a pair whose middle round of three has the ratio."""
    rounds = (
        Round(first="a", a_steps_s=(0.02,), b_steps_s=(0.02 * ratio * factor,))
        for factor in (0.5, 1, 3)
    )
    return Pair(first="a", open_s=0.5, rounds=tuple(rounds))


def _row(
    entry: str, ratio: float, pairs: int = 12, spread: float = 0.005, **fields: Any
) -> ComparedRow:
    """Return a row whose interval is the ratio ± its spread, as a fraction."""
    raw = tuple(_pair(ratio * (1 + (i % 3 - 1) * spread)) for i in range(pairs))
    conditions = {"conditions": {"torch": "2.14.1"}}
    return ComparedRow(
        entry=entry,
        network=f"timm/{entry}",
        status="measured",
        batch_size=32,
        threads=2,
        pairs=raw,
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
NOISY = _row("noisy", 1.03, spread=0.1)
FEW = _row("few", 1.0, pairs=9)


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
    found = frame(_comparison(_row("one", 1.1), FAILED, FEW)).set_index("entry")
    assert found["verdict"].tolist() == ["slower", "failed", "ambiguous"]
    one = found.loc["one"]
    assert one["ratio"] == pytest.approx(1.1)
    assert one["ratio_low"] == pytest.approx(1.1 * 0.995)
    assert one["b_step_median_s"] == pytest.approx(0.022)
    assert (one["pairs"], one["rounds"]) == (12, 36)
    assert found.loc[["few"], "ratio_low"].isna().all()


def test_a_pair_counts_once_however_many_rounds_it_has() -> None:
    """Else one slow process, whose rounds all agree, would outvote the others."""
    slow = Pair(first="b", open_s=0.5, rounds=_pair(2.0).rounds * 100)
    row = _row("one", 1.0)
    (one,) = frame(_comparison(row.model_copy(update={"pairs": (*row.pairs, slow)}))).to_dict(
        "records"
    )
    assert one["ratio"] == pytest.approx(1.0)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_step_that_took_no_time_cannot_be_kept(seconds: float) -> None:
    """As JSON's NaN or 1e999 it would make a side faster than anything."""
    with pytest.raises(ValidationError):
        Round(first="a", a_steps_s=(seconds,), b_steps_s=(0.1,))
    with pytest.raises(ValidationError):
        Round(first="a", a_steps_s=(0.1,), b_steps_s=(seconds,))


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([_row("one", 1.0)], 0),
        ([_row("one", 1.0), _row("two", 0.9)], 0),
        ([_row("one", 1.0), NOISY], 3),
        ([_row("one", 1.0), FEW], 3),
        ([_row("one", 1.1), NOISY], 1),
        ([_row("one", 1.0), FAILED], 1),
    ],
)
def test_the_exit_code_is_of_the_worst_row(rows: list[ComparedRow], code: int) -> None:
    assert exit_code(_comparison(*rows)) == code


def test_a_terminal_of_80_columns_holds_it_and_says_why_rows_failed() -> None:
    comparison = _comparison(_row("efficientnet_lite0", 1.1), FAILED, NOISY, FEW)
    text = terminal.render(sheet(frame(comparison), comparison), width=80)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[:2] == [
        "a: precision=fp32, main (ffffffffffff)",
        "b: precision=bf16, working tree",
    ]
    row = next(line for line in lines if line.startswith("efficientnet_lite0"))
    assert row.split()[1:6] == ["slower", "1.100", "[1.095,", "1.105]", "20.00"]
    assert row.split()[6:] == ["22.00", "12", "12"]
    assert "killed by SIGKILL (out of memory?)" in text.replace("\n", "")
    assert "ambiguous: the pairs of 60 s were too noisy" in text
    assert "ambiguous: few: 9 of at least 10 pairs in 60 s; give a larger --budget" in text


@pytest.mark.parametrize(
    ("rows", "notes"),
    [
        ([FEW], ["few: 9 of at least 10 pairs"]),
        ([NOISY], ["too noisy"]),
        ([_row("ten", 1.03, pairs=10, spread=0.1)], ["too noisy"]),
        ([FEW, NOISY], ["too noisy", "few: 9 of"]),
        ([_row("one", 1.0)], []),
    ],
)
def test_an_ambiguous_row_says_why(rows: list[ComparedRow], notes: list[str]) -> None:
    comparison = _comparison(*rows)
    ambiguous = [note for note in sheet(frame(comparison), comparison).notes if "ambiguous" in note]
    assert len(ambiguous) == len(notes)
    for found, part in zip(ambiguous, notes, strict=True):
        assert part in found


def test_the_lines_of_the_verdict_are_below_the_table() -> None:
    comparison = _comparison(_row("one", 1.0))
    (note,) = sheet(frame(comparison), comparison).notes
    # 1.05 to the power of 3/4 and of 1/2, and one over these.
    assert "within [0.964, 1.037]; slower: above 1.025; faster: below 0.976" in note


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


def test_a_kept_comparison_is_read_back(tmp_path: Path) -> None:
    comparison = _comparison(_row("one", 1.1), FAILED)
    path = tmp_path / "ab.json"
    path.write_text(comparison.model_dump_json())
    assert read(path) == comparison
    assert comparison.schema_version == 3


def _of_schema_2() -> dict[str, Any]:
    """Return a comparison as it was kept before pairs: two series of rounds of a row."""
    document = json.loads(_comparison(_row("one", 1.1)).model_dump_json())
    (row,) = document["rows"]
    rounds = [one for pair in row.pop("pairs") for one in pair["rounds"]]
    return {
        **document,
        "schema_version": 2,
        "rows": [{**row, "rounds": rounds, "again": rounds[:3]}, {**row, "rounds": rounds}],
    }


def test_a_comparison_of_schema_2_is_read_as_the_pairs_that_it_had(tmp_path: Path) -> None:
    """One or two pairs of processes are no verdict, however many rounds each had."""
    path = tmp_path / "ab.json"
    path.write_text(json.dumps(_of_schema_2()))
    comparison = read(path)
    assert [len(row.pairs) for row in comparison.rows] == [2, 1]
    assert [len(pair.rounds) for pair in comparison.rows[0].pairs] == [36, 3]
    assert frame(comparison)["verdict"].tolist() == ["ambiguous"] * 2
    assert frame(comparison)["ratio"].tolist() == pytest.approx([1.1] * 2, abs=0.006)
    assert exit_code(comparison) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a comparison: Expecting value"),
        ("[1]", "not a comparison: the file: Input should be a valid dictionary"),
        ("null", "not a comparison: the file: Input should be"),
        ("{}", "not a comparison: started_at: Field required"),
        (
            '{"schema_version": "two"}',
            "not a comparison: schema_version: Input should be a valid int",
        ),
        ('{"schema_version": 0}', "not a comparison: schema_version: Input should be greater"),
        ('{"schema_version": 4}', r"newer zoobench \(comparison schema 4, this one reads 3"),
        ('{"schema_version": 3, "kind": "record"}', "not a comparison: kind"),
        ("[" * 100_000, "not a comparison"),
        ("\xff\x00", "not a comparison"),
    ],
)
def test_what_is_not_a_comparison_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "ab.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(StoreError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_steps_of_a_kept_comparison_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "ab.json"
    path.write_text(
        json.dumps(_of_schema_2()).replace("0.02,", "1e999,").replace("[0.02]", "[NaN]")
    )
    with pytest.raises(StoreError, match=r"rows.*steps_s"):
        read(path)
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        read(tmp_path / "nowhere.json")
