"""Pictures: legible at the size of a real table, honest about claims, and the same every time."""

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from PIL import Image

from reports import drawing
from reports.drawing import family_styles
from reports.plots import (
    X_NAMES,
    Picture,
    draw,
    plan_pictures,
    write_pictures,
    write_report_pictures,
)
from reports.points import Subject, known_entries, subjects
from reports.tradeoff import Tradeoff
from tests.reports.test_points import DWNET, SWIN, focalnet_frame, make_frame, top1
from zoo.errors import MissingExtraError, StoreError, UnknownNameError


def _plan(frame: pd.DataFrame, x: str, table: str | None = None) -> list[Picture]:
    return plan_pictures(frame, subjects(frame, known_entries(), table), x)


def _drawn(item: Picture) -> Figure:
    points = item.points if isinstance(item, Tradeoff) else item.pairs
    with drawing.fixed_style():
        return draw(item, family_styles(point.family for point in points))


def _labels(figure: Figure) -> list[Annotation]:
    return [text for axes in figure.axes for text in axes.texts if isinstance(text, Annotation)]


@pytest.mark.parametrize("x", ["gmacs", "params", "images_per_s", "year"])
def test_all_32_labels_of_focalnets_table_are_there_and_none_covers_another(x: str) -> None:
    (picture,) = _plan(focalnet_frame(), x, "focalnet")
    figure = _drawn(picture)
    labels = _labels(figure)
    assert len(labels) == 32
    figure.draw_without_rendering()
    frame = figure.axes[0].get_window_extent()
    boxes = {label.get_text(): Text.get_window_extent(label) for label in labels}
    for (a, box_a), (b, box_b) in itertools.combinations(boxes.items(), 2):
        assert not box_a.overlaps(box_b), f"{a} and {b}"
    for name, box in boxes.items():
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1, name
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1, name


def test_no_label_covers_a_mark() -> None:
    (picture,) = _plan(focalnet_frame(), "gmacs", "focalnet")
    assert isinstance(picture, Tradeoff)
    figure = _drawn(picture)
    (axes,) = figure.axes
    for point in picture.points:
        x, y = axes.transData.transform((point.x, point.y))
        for label in _labels(figure):
            assert not Text.get_window_extent(label).contains(x, y), label.get_text()


def test_claimed_and_measured_marks_and_fronts_are_told_apart() -> None:
    frame = make_frame(
        {"entry": "resnet50.tv_in1k", "macs": 4e9, **top1(0.76)},
        {"entry": SWIN, "macs": 5e9},
        {"entry": DWNET, "macs": 3e9},
    )
    (picture,) = _plan(frame, "gmacs")
    figure = _drawn(picture)
    (axes,) = figure.axes
    filled = {
        str(marks.get_gid()).partition(":")[0]: len(marks.get_facecolor()) > 0
        for marks in axes.collections
        if marks.get_gid()
    }
    assert filled == {"measured": True, "exact": False, "architecture": False}
    texts = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"measured", "claimed for these weights"} <= texts
    assert "claimed for this network\nwith other weights" in texts
    assert {"Pareto front of the measured", "Pareto front of the claimed"} <= texts
    assert axes.get_title(loc="left").startswith("Top-1: 1 measured on the ImageNet-1k")


def test_a_picture_of_claims_alone_says_so() -> None:
    (picture,) = _plan(focalnet_frame(), "gmacs", "focalnet")
    assert isinstance(picture, Tradeoff)
    assert "none of it was measured" in picture.title


def test_a_sample_has_a_picture_of_its_own_without_claims() -> None:
    sample = top1(0.9, 20, dataset="sample", dataset_kind="sample")
    frame = make_frame({"entry": SWIN, "macs": 4e9, **sample}, {"entry": DWNET, "macs": 3e9})
    imagenet, own = _plan(frame, "gmacs")
    assert isinstance(imagenet, Tradeoff)
    assert isinstance(own, Tradeoff)
    assert {point.origin for point in imagenet.points} == {"exact", "architecture"}
    assert [(point.label, point.y) for point in own.points] == [(SWIN, 90)]
    assert own.stem == "sample-20-top1-gmacs"
    assert "no ImageNet figure" in own.title


def test_each_speed_setting_has_a_picture_of_its_own() -> None:
    other = focalnet_frame().assign(batch_size=64).astype(focalnet_frame().dtypes)
    items = _plan(pd.concat([focalnet_frame(), other]), "images_per_s", "focalnet")
    assert [item.stem for item in items] == [
        f"top1-images_per_s-cpu-c-fp32-contiguous-eager-batch-{batch}" for batch in (8, 64)
    ]


def test_axes_name_their_units_and_decades_are_logarithmic() -> None:
    frame = make_frame({"entry": SWIN, "macs": 4e9}, {"entry": DWNET, "macs": 40e9})
    (axes,) = _drawn(_plan(frame, "gmacs")[0]).axes
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "GMACs of one image (10⁹ multiply-adds, measured), log scale"
    assert axes.get_ylabel() == "ImageNet top-1 (%)"


def test_many_points_have_labels_on_the_front_only() -> None:
    names = list(known_entries())[:60]
    frame = make_frame(
        *({"entry": name, "macs": (i + 1) * 1e9, **top1(0.5)} for i, name in enumerate(names))
    )
    figure = _drawn(_plan(frame, "gmacs")[0])
    assert [label.get_text() for label in _labels(figure)] == names[:1]


def test_measured_beside_published_names_what_rounding_does_not_explain() -> None:
    frame = focalnet_frame()
    frame.loc[frame["entry"] == SWIN, "params"] = 30_000_000
    params = _plan(frame, "published", "focalnet")[0]
    assert params.stem == "published-params"
    figure = _drawn(params)
    assert [label.get_text() for label in _labels(figure)] == ["Swin-Tiny"]
    assert "measured − published (%)" in figure.axes[1].get_ylabel()


def test_files_are_pictures_of_their_kind(tmp_path: Path) -> None:
    frame = focalnet_frame()
    shown = subjects(frame, known_entries(), "focalnet")
    written = write_pictures(frame, shown, tmp_path / "new", xs=X_NAMES, formats=("png", "svg"))
    assert len(written.files) == 2 * 7  # four figures, three comparisons: no top-1 was measured
    for file in written.files:
        if file.suffix == ".png":
            with Image.open(file) as image:
                assert image.format == "PNG"
                assert image.convert("L").getextrema() == (0, 255)
        else:
            assert "<svg" in file.read_text()[:600]


def test_the_same_frame_gives_the_same_bytes_whatever_the_users_style(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = make_frame({"entry": SWIN, "macs": 4e9}, {"entry": DWNET, "macs": 3e9})
    shown = subjects(frame, known_entries())

    def files(name: str) -> list[bytes]:
        formats = ("png", "svg")
        written = write_pictures(frame, shown, tmp_path / name, xs=["gmacs"], formats=formats)
        return [file.read_bytes() for file in written.files]

    first = files("a")
    monkeypatch.setitem(mpl.rcParams, "font.size", 20.0)
    monkeypatch.setitem(mpl.rcParams, "svg.hashsalt", "other")
    assert files("b") == first
    assert mpl.rcParams["font.size"] == 20.0
    assert b"<dc:date>" not in first[1]


def test_left_out_entries_are_named(tmp_path: Path) -> None:
    frame = make_frame({"entry": SWIN, "macs": 4e9}, {"entry": "mine", "macs": 3e9})
    shown = subjects(frame, known_entries())
    written = write_pictures(frame, shown, tmp_path, xs=["gmacs"])
    assert written.notes == ("top1-gmacs: left out, for want of a figure: mine",)


def test_families_differ_in_colour_or_shape_and_neighbours_in_both() -> None:
    styles = list(family_styles(str(i) for i in range(60)).values())
    assert len(set(styles)) == 60
    for (colour_a, shape_a), (colour_b, shape_b) in itertools.pairwise(styles):
        assert colour_a != colour_b
        assert shape_a != shape_b


def test_nothing_to_draw_says_what_to_run(tmp_path: Path) -> None:
    shown = [Subject("a", "a", "f", None, None, None)]
    with pytest.raises(StoreError, match=r"nothing to draw: .*zoobench run"):
        write_pictures(make_frame({"entry": "a"}), shown, tmp_path)


def test_an_unknown_figure_lists_the_figures() -> None:
    with pytest.raises(UnknownNameError, match="did you mean gmacs"):
        _plan(make_frame({"entry": "a"}), "gmac")


def test_a_missing_matplotlib_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_nothing(name: str) -> Any:
        return None

    monkeypatch.setattr(drawing, "find_spec", find_nothing)
    with pytest.raises(MissingExtraError, match=r"pip install 'zoobench\[plots\]'"):
        write_pictures(focalnet_frame(), [], tmp_path)


def test_importing_the_room_loads_no_matplotlib() -> None:
    code = "import sys, reports.plots, reports.grid; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    frame = focalnet_frame()
    shown = subjects(frame, known_entries(), "focalnet")
    with pytest.raises(StoreError, match="cannot be written"):
        write_pictures(frame, shown, tmp_path / "file", xs=["gmacs"])


def test_a_gross_deviation_does_not_hide_the_others_and_few_are_named() -> None:
    frame = focalnet_frame()
    frame["macs"] = frame["macs"] * 11 // 10
    frame.loc[0, "macs"] = 10**12
    figure = _drawn(_plan(frame, "published", "focalnet")[1])
    assert figure.axes[1].get_yscale() == "symlog"
    labels = [label.get_text() for label in _labels(figure)]
    assert "ResNet-50" in labels
    assert len(labels) <= 12


def test_a_report_has_the_pictures_of_each_table_it_has_rows_of(tmp_path: Path) -> None:
    frame = make_frame({"entry": "swin_tiny_patch4_window7_224.ms_in1k", "macs": 4e9})
    written = write_report_pictures(frame, tmp_path)
    stems = {file.stem for file in written.files}
    tables = ("", "convnext-", "focalnet-", "swin-")
    assert {f"{table}top1-gmacs" for table in tables} <= stems
