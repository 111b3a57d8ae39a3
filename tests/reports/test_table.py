"""Tables round once, fit 80 columns, and say why a cell is empty."""

import io

import pandas as pd
import pytest

from reports.frame import to_frame
from reports.table import render
from tests.reports.test_frame import ACCURACY, COMPLEXITY, KEY, THROUGHPUT, TRAINING, _record
from zoo.errors import UnknownNameError


def _frame() -> pd.DataFrame:
    return to_frame([_record(COMPLEXITY), _record(THROUGHPUT), _record(ACCURACY)])


def test_the_terminal_table_says_what_is_the_same_for_all_rows_once() -> None:
    text = render(_frame(), "terminal").decode()
    assert "cpu: c, fp32, contiguous, eager, batch 8" in text
    assert "accuracy on val, 20 images" in text
    assert "90.00 [69.9, 97.2]" in text


def test_a_setting_that_differs_becomes_a_column() -> None:
    other = _record(THROUGHPUT, key=KEY.of("throughput").model_copy(update={"precision": "bf16"}))
    text = render(to_frame([_record(THROUGHPUT), other]), "md").decode()
    assert "precision" in text
    assert "| a | bf16 |" in text


@pytest.mark.parametrize(("kind", "noted"), [("process_rss", True), ("cuda_allocator", False)])
def test_memory_of_a_process_has_its_spread_below(kind: str, noted: bool) -> None:
    evidence = THROUGHPUT.model_copy(update={"peak_memory_kind": kind})
    text = render(to_frame([_record(evidence)]), "md").decode()
    assert ("runs differ by 5 to 14 %" in text) is noted


def test_an_absent_figure_has_its_reason_below() -> None:
    text = render(
        to_frame([_record(COMPLEXITY), _record(None, reason="no weights")]), "md"
    ).decode()
    assert "– a: accuracy: no weights" in text


def test_uncounted_operators_and_disagreement_mark_the_count() -> None:
    doubtful = COMPLEXITY.model_copy(update={"uncounted": {"aten.fft": 2}, "macs_fvcore": 9000})
    text = render(to_frame([_record(doubtful)]), "md").decode()
    assert "0.0000020?" in text
    assert "uncounted operators: aten.fft" in text
    assert "the counters disagree" in text


def test_data_formats_are_not_rounded() -> None:
    frame = _frame()
    frame.loc[0, "top1"] = 2 / 3
    again = pd.read_csv(io.BytesIO(render(frame, "csv")))
    assert again.loc[0, "top1"] == 2 / 3
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(render(frame, "parquet"))), frame)


def test_an_unknown_format_lists_the_formats() -> None:
    with pytest.raises(
        UnknownNameError, match="choices: counts, csv, html, latex, md, parquet, terminal"
    ):
        render(_frame(), "pdf")


def test_a_noisy_speed_has_a_mark_and_says_how_noisy() -> None:
    even = THROUGHPUT.model_copy(update={"steps_s": (0.1,) * 30})
    uneven = THROUGHPUT.model_copy(update={"steps_s": (0.1, 0.2) * 15})
    assert "~" not in render(to_frame([_record(even)]), "md").decode()
    text = render(to_frame([_record(uneven)]), "md").decode()
    assert "| 53.3~ |" in text
    assert "~ a, batch 8: noisy speed: steps' quartiles 66.7 % apart, standard error" in text


def test_a_standard_error_of_too_few_steps_is_unknown() -> None:
    few = THROUGHPUT.model_copy(update={"steps_s": (0.1, 0.1, 0.1)})
    row = to_frame([_record(few)])
    assert row["step_median_rse"].isna().all()
    assert "quartiles 0.0 % apart, standard error unknown" in render(row, "md").decode()


def test_a_failed_row_says_nothing_of_speeds_that_nobody_asked_for() -> None:
    text = render(to_frame([_record(None, reason="no weights")]), "md").decode()
    assert "– a: accuracy: no weights" in text
    assert "~" not in text
    assert "nan" not in text


def test_training_has_a_column_and_an_automatic_batch_a_note() -> None:
    batch = {"policy": "auto", "note": "auto: bounded by memory", "measures": ["training"]}
    text = render(to_frame([_record(TRAINING, conditions={"batch": batch})]), "md").decode()
    assert "train/s" in text
    assert "a: batch 8, auto: bounded by memory" in text


def test_choices_are_noted_below_the_table_once() -> None:
    chosen = {"notes": ["input: test size", "EMA weights"]}
    records = [
        _record(COMPLEXITY).model_copy(update={"conditions": {"notes": ["input: test size"]}}),
        _record(ACCURACY).model_copy(update={"conditions": chosen}),
        _record(THROUGHPUT),
    ]
    frame = to_frame(records)
    assert frame.loc[0, "notes"] == "input: test size; EMA weights"
    assert "a: input: test size; EMA weights" in render(frame, "md").decode()
    assert to_frame([_record(THROUGHPUT)])["notes"].isna().all()
