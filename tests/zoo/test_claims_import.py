"""What a library says becomes a claim for the same weights and image size, or for nothing."""

from pathlib import Path

import pytest

from zoo.claims_import import Imported, import_claims
from zoo.entry import Entry, Weights
from zoo.errors import ClaimsError, UnknownNameError
from zoo.published import Claim, load_rows, write_rows

ACCURACY = "model,img_size,top1,top1_err,top5,top5_err,param_count,crop_pct,interpolation"
SPEED = (
    "model,infer_img_size,infer_samples_per_sec,infer_step_time,infer_batch_size,param_count,"
    "infer_gmacs,infer_macts"
)


def timm_entry(architecture: str, tag: str | None, **fields: object) -> Entry:
    name = f"{architecture}.{tag}"
    weights = Weights(tag=tag) if tag else None
    return Entry(name=name, source="timm", architecture=architecture, weights=weights, **fields)  # type: ignore[arg-type]


A2 = timm_entry("resnet50", "a2_in1k", input_size="train")
TV = timm_entry("resnet50", "tv_in1k")


def import_file(folder: Path, name: str, lines: list[str], *entries: Entry) -> Imported:
    file = folder / name
    file.write_text("\n".join([*lines, ""]))
    return import_claims(str(file), entries)


def figures(imported: Imported) -> dict[tuple[str, str], Claim]:
    return {(c.entry, c.figure): c for row in imported.rows for c in row.claims()}


def test_accuracy_is_matched_by_name_tag_and_size(tmp_path: Path) -> None:
    lines = [
        ACCURACY,
        "resnet50.a2_in1k,288,80.774,19.226,94.978,5.022,25.56,1.000,bicubic",
        "resnet50.a2_in1k,224,79.828,20.172,94.560,5.440,25.56,0.950,bicubic",
        "resnet50.a1_in1k,224,80.382,19.618,94.598,5.402,25.56,0.950,bicubic",
    ]
    imported = import_file(tmp_path, "results-imagenet.csv", lines, A2, TV)
    (row,) = imported.rows
    assert (row.entry, row.entry_match, row.img_size) == ("resnet50.a2_in1k", "exact", 224)
    assert (row.top1_pct, row.params_m, row.dataset) == ("79.828", "25.56", "imagenet-1k")
    assert "0.950" in row.conditions
    assert not row.note
    assert (imported.unmatched, imported.other_size) == (2, 1)


def test_an_entry_of_another_size_matches_that_size(tmp_path: Path) -> None:
    line = "resnet50.a2_in1k,288,80.774,19.226,94.978,5.022,25.56,1.000,bicubic"
    larger = timm_entry("resnet50", "a2_in1k", preprocess={"resize_px": 300, "crop_px": 288})
    imported = import_file(tmp_path, "results-imagenet.csv", [ACCURACY, line], larger)
    (row,) = imported.rows
    assert row.note == "the entry resizes to 300 px, not 288 px"


def test_commas_between_thousands_are_no_columns(tmp_path: Path) -> None:
    line = (
        'eva_giant_patch14_560.m30m_ft_in22k_in1k,560,89.79,10.21,98.99,1.01,"1,014.45",1.0,bicubic'
    )
    entry = timm_entry("eva_giant_patch14_560", "m30m_ft_in22k_in1k")
    imported = import_file(tmp_path, "results-imagenet.csv", [ACCURACY, line], entry)
    assert imported.rows[0].params_m == "1014.45"


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("results-imagenet-real.csv", "imagenet-1k, ReaL labels"),
        ("results-sketch.csv", "imagenet-sketch"),
        ("mine.csv", "unknown: mine.csv"),
    ],
)
def test_accuracy_on_another_dataset_says_so(tmp_path: Path, name: str, dataset: str) -> None:
    line = "resnet50.a2_in1k,224,79.828,20.172,94.560,5.440,25.56,0.950,bicubic"
    imported = import_file(tmp_path, name, [ACCURACY, line], A2)
    assert imported.rows[0].dataset == dataset


def test_speed_names_no_weights_and_says_so(tmp_path: Path) -> None:
    lines = [
        SPEED,
        "resnet50,160,8305.45,123.268,1024,25.56,2.1,5.67",
        "resnet50,224,4302.84,237.959,1024,25.56,4.11,11.11",
        "vgg11,224,3000.0,341.3,1024,132.86,7.61,7.44",
    ]
    name = "benchmark-infer-amp-nchw-pt291-cu128-4090.csv"
    imported = import_file(tmp_path, name, lines, A2, TV)
    assert [row.entry for row in imported.rows] == ["resnet50.a2_in1k", "resnet50.tv_in1k"]
    assert {row.entry_match for row in imported.rows} == {"architecture"}
    claim = figures(imported)["resnet50.tv_in1k", "images_per_s"]
    assert claim.printed == "4302.84"
    assert claim.conditions == "images/s: amp nchw pt291 cu128 4090, batch 1024"
    assert "names no weights" in claim.note
    assert (imported.unmatched, imported.other_size) == (2, 1)


def test_another_order_of_columns_is_read_by_name(tmp_path: Path) -> None:
    lines = [
        "model,infer_samples_per_sec,infer_step_time,infer_batch_size,infer_img_size,param_count",
        "resnet50,100.5,9.95,1,224,25.56",
    ]
    imported = import_file(tmp_path, "benchmark-infer-fp32-cpu.csv", lines, TV)
    found = figures(imported)
    assert found["resnet50.tv_in1k", "images_per_s"].printed == "100.5"
    assert ("resnet50.tv_in1k", "gflops") not in found


def test_torchvision_speaks_for_its_own_weights() -> None:
    v1 = Entry(
        name="resnet50.IMAGENET1K_V1",
        source="torchvision",
        architecture="resnet50",
        weights=Weights(tag="IMAGENET1K_V1"),
    )
    imported = import_claims("torchvision", [v1, TV])
    (row,) = imported.rows
    assert (row.params_m, row.gflops, row.top1_pct) == ("25.557032", "4.089", "76.130")
    assert "97.781 MB" in row.note
    assert imported.unmatched > 50


def test_imported_rows_are_a_table_like_any_other(tmp_path: Path) -> None:
    line = "resnet50.a2_in1k,224,79.828,20.172,94.560,5.440,25.56,0.950,bicubic"
    rows = import_file(tmp_path, "results-imagenet.csv", [ACCURACY, line], A2).rows
    write_rows(tmp_path / "claims" / "results-imagenet.csv", rows)
    assert load_rows(str(tmp_path / "claims" / "results-imagenet.csv")) == rows


def test_networks_with_other_arguments_match_nothing(tmp_path: Path) -> None:
    line = "resnet50.a2_in1k,224,79.828,20.172,94.560,5.440,25.56,0.950,bicubic"
    other = timm_entry("resnet50", "a2_in1k", arguments={"output_stride": 16})
    imported = import_file(tmp_path, "results-imagenet.csv", [ACCURACY, line], other)
    assert (imported.rows, imported.unmatched) == ((), 1)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["model,train_samples_per_sec", "resnet50,100"], "no file of timm's results"),
        ([], "no file of timm's results"),
        ([ACCURACY, "resnet50.a2_in1k,big,79.8,20.2,94.6,5.4,25.56,0.95,bicubic"], "line 2: img_s"),
        ([ACCURACY, "resnet50.a2_in1k,224,79.8,20.2,94.6,5.4,25.56,,bicubic"], "line 2: crop_pct"),
        ([ACCURACY, "resnet50.a2_in1k,224,nan,20.2,94.6,5.4,25.56,0.95,bicubic"], "line 2: top1"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, lines: list[str], problem: str) -> None:
    with pytest.raises(ClaimsError, match=problem):
        import_file(tmp_path, "results-imagenet.csv", lines, A2)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClaimsError, match="cannot be read"):
        import_claims(str(tmp_path / "none.csv"), [A2])


def test_an_entry_that_its_library_lacks_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="resnet50"):
        import_file(
            tmp_path,
            "results-imagenet.csv",
            [ACCURACY, "a,224,1,,,,1,1,b"],
            timm_entry("resnet50", "a9_in1k"),
        )
