"""The picture of a batch sweep: a line an entry, and no line between what is not comparable."""

from pathlib import Path
from typing import Any

import pytest

from reports.drawing import fixed_style
from reports.plots import write_pictures
from reports.points import known_entries, subjects
from reports.sweep import Sweep, draw_sweep, plan_sweeps
from tests.reports.test_points import SETTINGS, make_frame
from zoo.errors import StoreError


def _row(entry: str, batch: int, images_per_s: float | None, **changes: Any) -> dict[str, Any]:
    p99_s = None if images_per_s is None else 1.2 * batch / images_per_s
    figures = {"images_per_s": images_per_s, "step_p99_s": p99_s, "noisy": False}
    return {**SETTINGS, "entry": entry, "batch_size": batch, **figures, **changes}


def _out_of_memory(entry: str, batch: int) -> dict[str, Any]:
    return _row(entry, batch, None, reason=f"throughput: out of memory at batch {batch} on cuda")


def _sweeps(*rows: dict[str, Any]) -> list[Sweep]:
    frame = make_frame(*rows)
    return plan_sweeps(frame, subjects(frame, known_entries()))


SWEEP = (
    _row("a", 8, 300.0),
    _row("a", 1, 50.0),
    _row("a", 64, 400.0, noisy=True),
    _row("a", 300, 410.0, batch_policy="auto"),
    _out_of_memory("a", 1024),
    _row("b", 1, 20.0),
    _row("b", 8, 30.0),
    _row("once", 8, 30.0),
)


def test_lines_go_by_size_and_an_entry_with_one_batch_has_none() -> None:
    (sweep,) = _sweeps(*SWEEP)
    assert [line.label for line in sweep.lines] == ["a", "b"]
    assert [(m.batch, m.images_per_s) for m in sweep.lines[0].marks] == [
        (1, 50.0),
        (8, 300.0),
        (64, 400.0),
        (300, 410.0),
        (1024, None),
    ]
    assert sweep.stem == "batch-images_per_s"


def test_other_settings_have_a_picture_of_their_own() -> None:
    other = [{**row, "precision": "bf16"} for row in SWEEP]
    stems = [sweep.stem for sweep in _sweeps(*SWEEP, *other)]
    assert stems == [
        f"batch-images_per_s-cpu-c-{precision}-contiguous-eager" for precision in ("bf16", "fp32")
    ]


def test_a_failure_of_another_kind_is_no_cross() -> None:
    failed = _row("a", 128, None, reason="throughput: the forward pass failed: RuntimeError: x")
    (sweep,) = _sweeps(*SWEEP, failed)
    assert 128 not in [mark.batch for mark in sweep.lines[0].marks]


def test_both_figures_are_drawn_and_every_batch_has_a_tick() -> None:
    (sweep,) = _sweeps(*SWEEP)
    with fixed_style():
        figure = draw_sweep(sweep)
        figure.draw_without_rendering()
    upper, lower = figure.axes
    lines = {line.get_gid(): line for line in upper.lines}
    assert list(lines["a"].get_ydata()) == [50, 300, 400, 410]
    p99_ms = {line.get_gid(): line for line in lower.lines}["b"].get_ydata()
    assert list(p99_ms) == pytest.approx([60, 320])
    ticks = [label.get_text() for label in lower.get_xticklabels()]
    assert ticks == ["1", "8", "64", "300", "1024"]
    texts = {text.get_text() for text in figure.legends[0].get_texts()}
    assert texts == {"a", "b", "noisy", "the largest that fits (auto)", "out of memory"}


def test_a_percentile_that_is_absent_is_not_drawn_and_the_picture_says_why() -> None:
    (every,) = _sweeps(*SWEEP)
    (sweep,) = _sweeps(*SWEEP[:-3], _row("b", 1, 20.0, step_p99_s=None), _row("b", 8, 30.0))
    with fixed_style():
        assert draw_sweep(every).axes[1].get_title(loc="right") == ""
        lower = draw_sweep(sweep).axes[1]
    p99_ms = {line.get_gid(): line for line in lower.lines}["b"].get_ydata()
    assert list(p99_ms) == pytest.approx([320])
    assert lower.get_title(loc="right") == "absent below 100 steps"


def test_one_batch_is_nothing_to_draw(tmp_path: Path) -> None:
    frame = make_frame(_row("once", 8, 30.0))
    with pytest.raises(StoreError, match="nothing to draw"):
        write_pictures(frame, subjects(frame, known_entries()), tmp_path, xs=["batch"])


def test_the_file_is_written_with_the_other_pictures(tmp_path: Path) -> None:
    frame = make_frame(*SWEEP)
    written = write_pictures(frame, subjects(frame, known_entries()), tmp_path)
    assert "batch-images_per_s.png" in [file.name for file in written.files]
