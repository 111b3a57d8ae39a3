"""The gate says no when something got worse or is missing, and only then; the rest it tells."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.compare import Comparison, compare
from reports.compare_table import render
from reports.finding import FAILS
from reports.side import Answers, Side
from tests.reports.sides import MACHINE, STEADY, answers, counts, key, latency, side, speed
from zoo.errors import ReportError

OTHER = {"device_name": "CPU two", "machine": {**MACHINE, "processor": "CPU two"}}


def _verdicts(found: Comparison) -> dict[str, str]:
    return {row["figure"]: row["verdict"] for _, row in found.findings.iterrows()}


def _reason(found: Comparison) -> str:
    return " | ".join(found.findings["reason"].dropna())


def _rows(lost: int, gained: int, images: int = 500, **changes: object) -> tuple[Answers, Answers]:
    """Predictions of two sides, of which the head loses and gains so many right answers."""
    base = [0] * lost + [1] * gained + [0] * (images - lost - gained)
    head = [1] * lost + [0] * gained + [0] * (images - lost - gained)
    return answers(base, **changes), answers(head, **changes)


def _wrong(lost: int, gained: int, images: int = 500) -> tuple[Side, Side]:
    base, head = _rows(lost, gained, images)
    return side(base), side(head)


# ---- counts


@pytest.mark.parametrize(
    ("params", "verdict"), [(1000, "same"), (1001, "differs"), (999, "differs")]
)
def test_counts_must_be_equal_whichever_way_they_changed(params: int, verdict: str) -> None:
    found = compare(side(counts()), side(counts(params)))
    assert _verdicts(found) == {"params": verdict, "macs": "same"}
    assert found.fails == (verdict == "differs")


# ---- predictions


def test_a_significant_loss_fails_and_lists_every_image() -> None:
    found = compare(*_wrong(lost=10, gained=0))
    assert _verdicts(found) == {"top1": "worse"}
    assert found.fails
    assert "10 of 500 predictions differ, 10 right to wrong, 0 wrong to right" in _reason(found)
    assert _reason(found).endswith("0.jpg, 1.jpg, 2.jpg and 7 more")
    assert list(found.flips["image"]) == [f"{i}.jpg" for i in range(10)]
    assert set(found.flips["base"]) == {0}
    assert set(found.flips["head"]) == {1}


def test_flips_that_rounding_explains_are_told_with_their_number_and_pass() -> None:
    found = compare(*_wrong(lost=3, gained=2))
    assert _verdicts(found) == {"top1": "flipped"}
    assert not found.fails
    assert "5 of 500 predictions differ, 3 right to wrong" in _reason(found)
    assert len(found.flips) == 5


@pytest.mark.parametrize(("lost", "verdict"), [(7, "flipped"), (8, "worse")])
def test_a_loss_is_significant_below_a_chance_of_one_percent(lost: int, verdict: str) -> None:
    """Lost answers alone have p = 2 / 2^n: 0.016 of seven, and 0.008 of eight."""
    assert _verdicts(compare(*_wrong(lost, gained=0, images=5000))) == {"top1": verdict}
    better = {"worse": "better"}.get(verdict, verdict)
    assert _verdicts(compare(*_wrong(0, gained=lost, images=5000))) == {"top1": better}


@pytest.mark.parametrize(
    ("flips", "images", "verdict"),
    [
        (7, 500, "flipped"),
        (8, 500, "changed"),
        (287, 50_000, "flipped"),
        (288, 50_000, "changed"),
    ],
)
def test_rounding_explains_half_a_percent_of_flips(flips: int, images: int, verdict: str) -> None:
    """Binomial, at 0.005 an image: the last number with a chance above 0.01, and the next."""
    lost = flips // 2
    found = compare(*_wrong(lost, flips - lost, images))
    assert _verdicts(found) == {"top1": verdict}


@pytest.mark.parametrize(("lost", "verdict"), [(8, "flipped"), (11, "flipped"), (12, "worse")])
def test_the_error_is_bounded_over_all_rows(lost: int, verdict: str) -> None:
    """Of 20 rows the smallest p value is held to 0.01 / 20: 12 lost answers have 0.0005."""
    rows = [_rows(0, 0, 50, entry=f"other {i}") for i in range(19)]
    rows.append(_rows(lost, 0, images=5000))
    found = compare(side(*(base for base, _ in rows)), side(*(head for _, head in rows)))
    assert found.findings.set_index("entry").loc["a", "verdict"] == verdict
    assert found.judged() == {"top1": (20, 20)}


def test_a_number_of_flips_is_held_to_the_same_bound() -> None:
    rows = [_rows(0, 0, 50, entry=f"other {i}") for i in range(19)]
    for flips, verdict in ((9, "flipped"), (10, "changed")):  # p = 0.00099, 0.00026
        both = [*rows, _rows(flips // 2, flips - flips // 2)]
        found = compare(side(*(base for base, _ in both)), side(*(head for _, head in both)))
        assert found.findings.set_index("entry").loc["a", "verdict"] == verdict


@pytest.mark.parametrize(
    ("rows", "flips", "verdict"),
    [(1, 1, "flipped"), (1, 2, "changed"), (3, 2, "flipped"), (3, 3, "changed")],
)
def test_of_twenty_photographs_few_flips_are_seen(rows: int, flips: int, verdict: str) -> None:
    """As docs/gate.md says of the sample."""
    both = [_rows(flips, 0, 20), *(_rows(0, 0, 20, entry=f"{i}") for i in range(1, rows))]
    found = compare(side(*(base for base, _ in both)), side(*(head for _, head in both)))
    assert found.findings.set_index("entry").loc["a", "verdict"] == verdict


def test_rows_that_are_not_judged_take_nothing_from_the_others() -> None:
    rows = [_rows(8, 0, 5000)]
    rows += [(answers([0], entry=f"{i}"), answers([0], entry=f"{i}", content="x")) for i in "bcd"]
    found = compare(side(*(base for base, _ in rows)), side(*(head for _, head in rows)))
    assert list(found.findings["verdict"]) == ["worse", *["not comparable"] * 3]
    assert found.judged() == {"top1": (1, 4)}
    assert found.levels.mcnemar == 0.01


@pytest.mark.parametrize("images", [500, 50_000])
def test_two_percent_of_flips_fail_also_where_no_accuracy_is_lost(images: int) -> None:
    found = compare(*_wrong(lost=images // 100, gained=images // 100, images=images))
    assert _verdicts(found) == {"top1": "changed"}
    assert found.fails
    assert "predictions differ, more than rounding explains" in _reason(found)


def test_a_wrong_answer_that_became_another_wrong_one_is_a_flip_too() -> None:
    found = compare(side(answers([0] * 20 + [1, 1])), side(answers([0] * 20 + [2, 1])))
    assert _verdicts(found) == {"top1": "flipped"}
    assert found.flips[["image", "base", "head"]].to_numpy().tolist() == [["20.jpg", 1, 2]]


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 60), st.integers(0, 60))
def test_swapping_the_sides_swaps_the_verdict(lost: int, gained: int) -> None:
    base, head = _wrong(lost, gained)
    there, back = compare(base, head).findings.iloc[0], compare(head, base).findings.iloc[0]
    swapped = {"worse": "better", "better": "worse"}
    assert back["verdict"] == swapped.get(there["verdict"], there["verdict"])
    assert there["p_value"] == back["p_value"]
    assert (there["lost"], there["gained"]) == (back["gained"], back["lost"])
    assert (there["verdict"] == "worse") == (lost > gained and there["p_value"] < 0.01)


@settings(deadline=None, max_examples=15)
@given(st.permutations(range(30)))
def test_images_are_paired_by_name_whatever_their_order(order: list[int]) -> None:
    base = answers([i % 3 for i in range(30)])
    shuffled = answers([i % 3 for i in range(30)])
    frame = shuffled.frame.iloc[order].reset_index(drop=True)
    head = replace(shuffled, frame=frame)
    assert _verdicts(compare(side(base), side(head))) == {"top1": "same"}


def test_an_image_that_the_head_lacks_is_missing_and_never_joined_away() -> None:
    found = compare(side(answers([0, 1, 0])), side(answers([0, 1])))
    assert _verdicts(found) == {"top1": "missing"}
    assert "1 of its images only in the base (2.jpg)" in _reason(found)
    assert found.findings["flipped"].isna().all()


def test_an_image_that_only_the_head_has_makes_it_not_comparable() -> None:
    found = compare(side(answers([0, 1]), counts()), side(answers([0, 1, 0]), counts()))
    assert _verdicts(found)["top1"] == "not comparable"
    assert "1 of its images only in the head (2.jpg)" in _reason(found)


def test_an_image_of_several_right_labels_is_right_with_each_of_them() -> None:
    base, head = answers([0, 0]), answers([0, 3])
    frame = head.frame.assign(right=[True, True])
    found = compare(side(base), side(replace(head, frame=frame))).findings.iloc[0]
    assert (found["head"], found["flipped"], found["lost"]) == (1.0, 1, 0)


def test_a_reason_names_three_images_and_says_how_many_more() -> None:
    assert _reason(compare(*_wrong(2, 1))).endswith(": 0.jpg, 1.jpg, 2.jpg")
    assert _reason(compare(*_wrong(2, 2))).endswith(": 0.jpg, 1.jpg, 2.jpg and 1 more")
    assert _reason(compare(*_wrong(0, 0))) == ""


def test_as_many_lost_as_gained_is_never_worse() -> None:
    """Also where their number is too large for rounding."""
    assert _verdicts(compare(*_wrong(60, 60))) == {"top1": "changed"}


@pytest.mark.parametrize("doubled", [0, 1])
def test_images_of_one_name_are_not_compared(doubled: int) -> None:
    sides = [answers([0, 1, 0]), answers([0, 1, 0])]
    frame = sides[doubled].frame.assign(image=["0.jpg", "1.jpg", "1.jpg"])
    sides[doubled] = replace(sides[doubled], frame=frame)
    found = compare(*(side(one) for one in sides))
    assert _verdicts(found) == {"top1": "not comparable"}
    assert "several images have one name" in _reason(found)


def test_images_of_other_bytes_are_not_compared_and_the_gate_does_not_pass() -> None:
    """Not even if counts are the same, as they were while accuracy fell by 4.4 points."""
    base = side(answers([0] * 500), counts())
    head = side(answers([1] * 22 + [0] * 478, content="other"), counts())
    found = compare(base, head)
    assert _verdicts(found) == {"top1": "not comparable", "params": "same", "macs": "same"}
    assert "other bytes" in _reason(found)
    assert (found.fails, found.decided) == (False, False)


# ---- images that could not be read


def test_a_dataset_that_neither_side_could_read_whole_is_no_pass() -> None:
    both = [side(answers([0] * 100, unread=400)) for _ in "ab"]
    found = compare(*both)
    assert _verdicts(found) == {"top1": "not judged"}
    assert "400 of 500 in the base, 400 of 500 in the head" in _reason(found)
    assert (found.fails, found.decided) == (False, False)


def test_one_unread_image_is_enough_and_a_loss_among_the_others_still_fails() -> None:
    base, head = side(answers([0] * 500, unread=1)), side(answers([0] * 500, unread=1))
    assert _verdicts(compare(base, head)) == {"top1": "not judged"}
    lost = side(answers([1] * 12 + [0] * 488, unread=1))
    found = compare(base, lost)
    assert _verdicts(found) == {"top1": "worse"}
    assert found.fails


def test_a_dataset_of_unknown_size_is_taken_as_whole() -> None:
    """As in baselines that do not say it."""
    both = side(replace(answers([0] * 5), images_in_dataset=None))
    assert _verdicts(compare(both, both)) == {"top1": "same"}


def test_predictions_without_a_recorded_digest_are_named() -> None:
    base = side(answers([0] * 5, verified=False), answers([0] * 5, entry="b"))
    found = compare(base, side(answers([0] * 5), answers([0] * 5, entry="b")))
    assert found.unverified == ("a",)
    assert found.decided


# ---- speeds


@pytest.mark.parametrize(
    ("images_per_s", "verdict"), [(99.0, "same"), (90.0, "slower"), (111.0, "faster")]
)
def test_a_speed_is_held_against_the_band_of_the_runs(images_per_s: float, verdict: str) -> None:
    found = compare(side(speed(STEADY)), side(speed([images_per_s], day=2)))
    assert _verdicts(found) == {"images_per_s": verdict}
    assert found.fails == (verdict == "slower")
    row = found.findings.iloc[0]
    assert row["low"] < 100 < row["high"]


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(0.101, "same"), (0.111, "slower"), (0.09, "faster")]
)
def test_latency_is_judged_by_its_median_request_of_which_less_is_better(
    seconds: float, verdict: str
) -> None:
    base = side(latency(run / 1000 for run in STEADY), speed(STEADY))
    head = side(latency([seconds], day=2), speed([50.0], day=2))
    found = compare(base, head, asked=["latency"])
    assert _verdicts(found) == {"latency_p50_s": verdict}
    assert found.fails == (verdict == "slower")
    row = found.findings.iloc[0]
    assert row["low"] < 0.1 < row["high"]
    assert row["head"] == seconds
    assert _reason(found).endswith(" s")


@pytest.mark.parametrize(
    ("seconds", "line"),
    [(0.12, "a p50 ms 100.00 120.00 +20.0 % slower"), (0.1, "% above the base: a smaller loss")],
)
def test_latencies_are_shown_in_milliseconds(seconds: float, line: str) -> None:
    base = side(latency(run / 1000 for run in STEADY))
    found = compare(base, side(latency([seconds], day=2)))
    assert line in " ".join(render(found, "terminal").decode().split())


def test_a_noisier_row_has_a_wider_band() -> None:
    noisy = side(speed((80.0, 120.0, 90.0, 110.0, 100.0)))
    assert _verdicts(compare(noisy, side(speed([90.0], day=2)))) == {"images_per_s": "same"}


@pytest.mark.parametrize(
    ("images_per_s", "references_per_s", "verdict"),
    [
        (50.0, 125.0, "same"),
        (90.0, 250.0, "slower"),
        (100.0, 300.0, "slower"),
        (60.0, 125.0, "faster"),
    ],
)
def test_a_machine_that_is_slow_or_fast_today_is_not_taken_for_the_network(
    images_per_s: float, references_per_s: float, verdict: str
) -> None:
    base = speed(STEADY, references_per_s=250.0)
    head = speed([images_per_s], day=2, references_per_s=references_per_s)
    found = compare(side(base), side(head))
    assert _verdicts(found) == {"images_per_s": verdict}
    row = found.findings.iloc[0]
    assert row["head"] == pytest.approx(images_per_s * 250 / references_per_s)
    assert row["base"] == pytest.approx(100, rel=0.01)


def test_speeds_are_held_as_measured_where_the_reference_work_is_not_the_same() -> None:
    base = speed(STEADY, references_per_s=250.0)
    for head in (
        speed([50.0], day=2),
        speed([50.0], day=2, references_per_s=125.0, torch="2.14.1"),
    ):
        found = compare(side(base), side(head))
        assert _verdicts(found) == {"images_per_s": "slower"}
        assert "as measured" in _reason(found)


def test_too_few_runs_are_no_verdict() -> None:
    found = compare(side(speed(STEADY[:4]), counts()), side(speed([50.0], day=2), counts()))
    assert _verdicts(found)["images_per_s"] == "not judged"
    assert "4 runs of the base known, 5 needed" in _reason(found)
    assert (found.fails, found.decided) == (False, False)


def test_a_speed_nobody_asked_for_and_without_a_band_keeps_no_gate_from_passing() -> None:
    """An accuracy is always timed end to end as well."""
    for runs, decided in ((STEADY[:4], True), (STEADY, False)):
        figure = {"figure": "end_to_end_images_per_s"}
        base = speed(runs).model_copy(update=figure)
        other = {**MACHINE, "cores": 16}
        head = speed([100.0], day=2, machine=other).model_copy(update=figure)
        found = compare(side(base, counts()), side(head, counts()))
        assert _verdicts(found)["end_to_end_images_per_s"] == "not comparable"
        assert found.decided == decided
        named = compare(side(base, counts()), side(head, counts()), asked=["end_to_end"])
        assert not named.decided


@pytest.mark.parametrize(("rows", "verdict"), [(1, "slower"), (20, "same")])
def test_a_band_is_wider_the_more_rows_are_judged(rows: int, verdict: str) -> None:
    """So that untouched rows together leave theirs at most once in a hundred comparisons."""
    others = [f"other {i}" for i in range(rows - 1)]
    base = side(speed(STEADY), *(speed(STEADY, entry=name) for name in others))
    head = side(speed([96.0], day=2), *(speed([100.0], day=2, entry=name) for name in others))
    row = compare(base, head).findings.set_index("entry").loc["a"]
    assert row["verdict"] == verdict
    assert (row["low"] > 96) == (verdict == "slower")


def test_a_run_is_not_held_against_itself() -> None:
    base = speed([*STEADY, 50.0])
    head = base.model_copy(update={"runs": base.runs[-1:]})
    assert _verdicts(compare(side(base), side(head))) == {"images_per_s": "not judged"}


# ---- rows


def test_a_missing_row_fails_and_an_unexpected_one_is_told() -> None:
    found = compare(side(counts()), side(counts(entry="b")))
    assert list(found.findings["entry"]) == ["a", "a", "b", "b"]
    assert list(found.findings["verdict"]) == ["missing", "missing", "unexpected", "unexpected"]
    assert found.judged() == {"params": (0, 1), "macs": (0, 1)}
    assert found.fails


def test_a_row_that_failed_is_missing_with_its_reason() -> None:
    failures = [("throughput", key().of("throughput"), "out of memory at batch 8")]
    found = compare(side(speed(STEADY)), side(failures=failures))
    assert _verdicts(found) == {"images_per_s": "missing"}
    assert _reason(found) == "failed: out of memory at batch 8"


def test_a_figure_that_the_heads_row_does_not_have_is_told_with_its_reason() -> None:
    notes = (("images_per_s", key().of("throughput"), "from cached pixels"),)
    head = Side("head", (counts(),), notes=notes)
    found = compare(side(speed(STEADY), counts()), head)
    assert _verdicts(found)["images_per_s"] == "not judged"
    assert _reason(found) == "from cached pixels"
    assert (found.fails, found.decided) == (False, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"device_name": "CPU two"},
        {"device": "cuda", "device_name": "H100", "batch_size": 256},
    ],
)
def test_another_device_is_not_comparable_and_never_a_verdict(changes: dict[str, object]) -> None:
    base = side(speed(STEADY), answers([0] * 500), counts())
    head = side(speed([50.0], day=2, **changes), answers([1] * 500, **changes), counts())
    found = compare(base, head)
    assert _verdicts(found)["images_per_s"] == "not comparable"
    assert _verdicts(found)["top1"] == "not comparable"
    assert "device_name CPU one" in _reason(found)
    assert "500 of 500 predictions differ" in _reason(found)
    assert (found.fails, found.decided) == (False, False)


def test_a_machine_with_other_cores_is_another_machine() -> None:
    base, head = speed(STEADY), speed([50.0], day=2, machine={**MACHINE, "cores": 16})
    found = compare(side(base, counts()), side(head, counts()))
    assert _verdicts(found)["images_per_s"] == "not comparable"
    assert "cores 2 → 16" in _reason(found)


def test_of_a_baseline_of_two_machines_only_the_heads_own_is_held_against_it() -> None:
    base = side(speed(STEADY, **OTHER), speed(STEADY))
    found = compare(base, side(speed([90.0], day=2)))
    assert list(found.findings["verdict"]) == ["slower"]


def test_a_row_of_another_kind_of_device_is_not_passed_over() -> None:
    """One machine may have both, and one of them may have been lost."""
    cuda = {"device": "cuda", "device_name": "H100"}
    base = side(speed(STEADY), speed(STEADY, **cuda))
    found = compare(base, side(speed([100.0], day=2)))
    assert list(found.findings["verdict"]) == ["same", "not comparable"]
    assert "device cuda → cpu" in _reason(found)
    assert not found.decided


def test_what_is_not_asked_for_is_left_out_and_what_is_has_to_be_judged() -> None:
    base = side(speed(STEADY[:1]), answers([0] * 20), counts())
    head = side(speed([50.0], day=2), answers([0] * 20), counts(1001))
    found = compare(base, head, asked=["top1"])
    assert _verdicts(found) == {"top1": "same"}
    assert found.decided
    assert compare(base, head, asked=["top1", "params"]).fails
    found = compare(side(counts()), side(counts(), answers([0])), asked=["params", "top1"])
    assert _verdicts(found) == {"params": "same", "top1": "unexpected"}
    assert (found.unmet, found.fails, found.decided) == (("top1",), False, False)


# ---- matched by entry


def _by_entry(base: Side, head: Side) -> Comparison:
    return compare(base, head, match="entry")


CHANGED = [
    ({"preprocess": "resize 248 center crop 224"}, "preprocess: resize 256 → 248"),
    ({"preprocess": "resize 256 border crop 240"}, "crop 224 → border crop 240"),
    ({"weights_sha256": "3" * 64}, "weights_sha256 11111111 → 33333333"),
    ({"batch_size": 16, "precision": "bf16"}, "precision fp32 → bf16; batch_size 8 → 16"),
    ({"device_name": "CPU two"}, "device_name CPU one → CPU two"),
]


@pytest.mark.parametrize(("changes", "told"), CHANGED)
def test_a_changed_row_is_judged_by_its_entry_and_the_change_is_named(
    changes: dict[str, object], told: str
) -> None:
    preprocess = "resize 256 center crop 224"
    base, worse = (one.frame for one in _rows(12, 0))
    frames = {"worse": (base, worse), "better": (worse, base), "same": (base, base)}
    for verdict, (ours, theirs) in frames.items():
        row = answers([0] * 500, preprocess=preprocess)
        old, new = replace(row, frame=ours), replace(row, frame=theirs)
        new = replace(new, key=new.key.model_copy(update=changes))
        found = _by_entry(side(old), side(new))
        assert _verdicts(found) == {"top1": verdict}
        assert found.fails == (verdict == "worse")
        assert found.decided
        assert told in _reason(found)
        assert told in found.findings.loc[0, "changes"]
        assert ("all 500 predictions are equal" in _reason(found)) == (verdict == "same")


def test_other_weights_may_change_predictions_and_another_device_may_not() -> None:
    base, head = _rows(15, 15)
    weights = replace(head, key=key(weights_sha256="3" * 64))
    assert _verdicts(_by_entry(side(base), side(weights))) == {"top1": "same"}
    device = replace(head, key=key(device_name="CPU two"))
    assert _verdicts(_by_entry(side(base), side(device))) == {"top1": "changed"}


@pytest.mark.parametrize(("lost", "verdict"), [(7, "same"), (8, "worse")])
def test_by_entry_a_loss_is_significant_at_the_same_level(lost: int, verdict: str) -> None:
    base, head = _rows(lost, 0, images=5000)
    head = replace(head, key=key(weights_sha256="3" * 64))
    assert _verdicts(_by_entry(side(base), side(head))) == {"top1": verdict}


def test_of_another_network_more_is_worse_and_less_is_better() -> None:
    base = side(counts(1000, 2000))
    for params, verdict in ((1001, "worse"), (999, "better"), (1000, "same")):
        head = side(counts(params, 2000, network="timm/y"))
        assert _verdicts(_by_entry(base, head)) == {"params": verdict, "macs": "same"}
    assert _verdicts(_by_entry(base, side(counts(999, 2000))))["params"] == "differs"


def test_by_entry_a_speed_of_another_machine_is_still_not_comparable() -> None:
    for changes in ({"device_name": "CPU two"}, {"machine": {**MACHINE, "cores": 16}}):
        head = speed([50.0], day=2, **changes)  # type: ignore[arg-type]
        found = _by_entry(side(speed(STEADY)), side(head))
        assert _verdicts(found) == {"images_per_s": "not comparable"}
        assert not found.decided
    found = _by_entry(side(speed(STEADY)), side(speed([50.0], day=2, precision="bf16")))
    assert _verdicts(found) == {"images_per_s": "slower"}


def test_by_entry_the_nearest_rows_come_together() -> None:
    rows = [answers([0] * 20, batch_size=batch) for batch in (8, 32)]
    changed = [replace(row, key=row.key.model_copy(update={"preprocess": "x"})) for row in rows]
    found = _by_entry(side(*rows), side(*reversed(changed)))
    assert list(found.findings["verdict"]) == ["same", "same"]
    assert set(found.findings["changes"]) == {"preprocess: resize 256 → x"}


def test_by_entry_a_row_that_is_gone_is_missing() -> None:
    found = _by_entry(side(answers([0]), answers([0], entry="b")), side(answers([0])))
    assert list(found.findings["verdict"]) == ["same", "missing"]


@pytest.mark.parametrize(
    "changes", [{"preprocess": "resize 255"}, {"weights_sha256": "3" * 64}, {"batch_size": 16}]
)
def test_another_key_on_the_same_machine_leaves_the_bases_row_missing(
    changes: dict[str, object],
) -> None:
    found = compare(side(answers([0] * 20)), side(answers([0] * 19 + [1], **changes)))
    assert _verdicts(found) == {"top1": "missing"}
    assert found.fails
    assert "--match entry judges it" in _reason(found)
    assert "1 of 20 predictions differ" in _reason(found)
    assert list(found.flips["image"]) == ["19.jpg"]


def test_a_base_that_holds_nothing_is_a_mistake() -> None:
    with pytest.raises(ReportError, match="no measured row"):
        compare(side(), side(counts()))


def _sides() -> st.SearchStrategy[Side]:
    def items() -> Iterator[st.SearchStrategy[object]]:
        entries, names = st.sampled_from("abc"), st.sampled_from(["CPU one", "CPU two"])
        yield st.builds(lambda p, e: counts(p, entry=e), st.integers(1, 3), entries)
        yield st.builds(
            lambda p, e, d: answers(p, entry=e, device_name=d),
            st.lists(st.integers(0, 2), min_size=1, max_size=9),
            entries,
            names,
        )
        yield st.builds(
            lambda r, e, d: speed(r, entry=e, device_name=d),
            st.lists(st.floats(50, 150), min_size=1, max_size=7),
            entries,
            names,
        )

    unique = st.lists(st.one_of(*items()), max_size=9, unique_by=lambda i: (i.kind, i.key))
    return unique.map(lambda found: side(*found))


@settings(deadline=None, max_examples=15)
@given(_sides(), _sides())
def test_every_row_of_the_base_has_a_finding_and_every_finding_a_row(
    base: Side, head: Side
) -> None:
    if not base.items:
        return
    found = compare(base, head).findings
    figures = {"counts": "params", "answers": "top1"}
    for item in (*base.items, *head.items):
        own = found[found["entry"] == item.key.entry]
        assert figures.get(item.kind, item.kind) in set(own["figure"])
    # What both sides have under the very key is judged; what only the head has is never a failure.
    known = {(item.kind, item.key.entry) for item in base.items}
    for _, row in found[found["verdict"].isin(FAILS)].iterrows():
        kind = {"params": "counts", "macs": "counts", "top1": "answers"}.get(row["figure"])
        assert (kind or row["figure"], row["entry"]) in known


@settings(deadline=None, max_examples=15)
@given(_sides())
def test_nothing_differs_from_itself(base: Side) -> None:
    if base.items:
        found = compare(base, base)
        assert set(found.findings["verdict"]) <= {"same", "not judged"}
        assert found.flips.empty
