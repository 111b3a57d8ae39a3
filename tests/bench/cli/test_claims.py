"""``zoobench claims``: prints tables as published, imports figures, explains mistakes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli.main import main


def zoobench(*arguments: str) -> int:
    """Run the command in this process and return its exit code."""
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return int(caught.value.code or 0)


def test_all_tables_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert zoobench("claims", "list") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("focalnet", "convnext", "swin", "arXiv:2203.11926"))


def test_a_table_is_printed_in_its_own_order_and_digits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert zoobench("claims", "list", "focalnet") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1:4]] == ["ResNet-50", "ResNet-101", "ResNet-152"]
    assert lines[1].split()[4:] == ["25.0?", "4.1", "1294?", "76.2", "resnet50.tv_in1k"]
    assert any("~pvt_small" in line.split() for line in lines)


def test_claims_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert zoobench("claims", "list", "swin", "--json") == 0
    claims = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert claims[0]["table"] == "swin"
    assert claims[0]["printed"] == "21"


def test_import_tells_what_matched_and_what_did_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results-imagenet.csv"
    file.write_text(
        "model,img_size,top1,top1_err,top5,top5_err,param_count,crop_pct,interpolation\n"
        "resnet50.a2_in1k,288,80.774,19.226,94.978,5.022,25.56,1.000,bicubic\n"
        "resnet50.a2_in1k,224,79.828,20.172,94.560,5.440,25.56,0.950,bicubic\n"
        "resnet50.a1_in1k,224,80.382,19.618,94.598,5.402,25.56,0.950,bicubic\n"
    )
    out = tmp_path / "claims" / "timm.csv"
    assert zoobench("claims", "import", str(file), "--manifest", "sota", "--out", str(out)) == 0
    told = capsys.readouterr().err
    assert "2 figures of 1 entries" in told
    assert "2 of its rows match no entry of sota (1 of them by the image size alone)" in told
    assert zoobench("claims", "list", str(out)) == 0
    assert "79.828" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("list", "focalnt"), "did you mean focalnet"),
        (("import", "none.csv", "--out", "claims.csv"), "cannot be read"),
        (("import", "torchvision", "--manifest", "sample", "--out", "c.csv"), "nothing to import"),
        (("import", "torchvision", "--manifest", "sotta", "--out", "c.csv"), "did you mean sota"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert zoobench("claims", *arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("zoobench: error: ")
    assert problem in told
    assert len(told.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_listing_loads_neither_torch_nor_pandas() -> None:
    code = (
        "import sys\nfrom bench.cli.main import main\n"
        "try: main(['claims', 'list', 'swin'])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'timm', 'torchvision', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
