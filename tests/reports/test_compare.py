"""The gate says no when something got worse or is missing, and only then; the rest it tells."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.compare import FAILS, Comparison, compare
from reports.side import Side
from tests.reports.sides import MACHINE, STEADY, answers, counts, key, side, speed
from zoo.errors import ReportError

OTHER = {"device_name": "CPU two", "machine": {**MACHINE, "processor": "CPU two"}}


def _verdicts(found: Comparison) -> dict[str, str]:
    return {row["figure"]: row["verdict"] for _, row in found.findings.iterrows()}


def _reason(found: Comparison) -> str:
    return " | ".join(found.findings["reason"].dropna())


def _wrong(lost: int, gained: int, images: int = 500) -> tuple[Side, Side]:
    """Two sides of which the head loses and gains so many right answers."""
    base = [0] * lost + [1] * gained + [0] * (images - lost - gained)
    head = [1] * lost + [0] * gained + [0] * (images - lost - gained)
    return side(answers(base)), side(answers(head))


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
    assert list(found.flips["image"]) == [f"{i}.jpg" for i in range(10)]
    assert set(found.flips["base"]) == {0}
    assert set(found.flips["head"]) == {1}


def test_flips_that_rounding_explains_are_told_with_their_number_and_pass() -> None:
    found = compare(*_wrong(lost=3, gained=2))
    assert _verdicts(found) == {"top1": "flipped"}
    assert not found.fails
    assert "5 of 500 predictions differ, 3 right to wrong" in _reason(found)
    assert len(found.flips) == 5


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
    head = type(base)(base.key, "c", shuffled.frame.iloc[order].reset_index(drop=True))
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
    found = compare(side(base), side(type(head)(head.key, "c", frame))).findings.iloc[0]
    assert (found["head"], found["flipped"], found["lost"]) == (1.0, 1, 0)


def test_images_of_other_bytes_are_not_compared() -> None:
    found = compare(side(answers([0, 1])), side(answers([0, 1], content="other")))
    assert _verdicts(found) == {"top1": "not comparable"}
    assert "other bytes" in _reason(found)


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
    assert not found.fails


def test_a_run_is_not_held_against_itself() -> None:
    base = speed([*STEADY, 50.0])
    head = base.model_copy(update={"runs": base.runs[-1:]})
    assert _verdicts(compare(side(base), side(head))) == {"images_per_s": "not judged"}


# ---- rows


def test_a_missing_row_fails_and_an_unexpected_one_is_told() -> None:
    found = compare(side(counts()), side(counts(entry="b")))
    assert list(found.findings["entry"]) == ["a", "a", "b", "b"]
    assert list(found.findings["verdict"]) == ["missing", "missing", "unexpected", "unexpected"]
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
    assert not found.fails


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
    assert not found.fails


def test_a_machine_with_other_cores_is_another_machine() -> None:
    base, head = speed(STEADY), speed([50.0], day=2, machine={**MACHINE, "cores": 16})
    found = compare(side(base, counts()), side(head, counts()))
    assert _verdicts(found)["images_per_s"] == "not comparable"
    assert "cores 2, 16 in the head" in _reason(found)


def test_of_a_baseline_of_two_machines_only_the_heads_own_is_held_against_it() -> None:
    base = side(speed(STEADY, **OTHER), speed(STEADY))
    found = compare(base, side(speed([90.0], day=2)))
    assert list(found.findings["verdict"]) == ["slower"]


@pytest.mark.parametrize(
    "changes", [{"preprocess": "resize 255"}, {"weights_sha256": "3" * 64}, {"batch_size": 16}]
)
def test_another_key_on_the_same_machine_leaves_the_bases_row_missing(
    changes: dict[str, object],
) -> None:
    found = compare(side(answers([0] * 20)), side(answers([0] * 19 + [1], **changes)))
    assert _verdicts(found) == {"top1": "missing"}
    assert found.fails
    assert "not comparable with what there is" in _reason(found)
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
