"""The examples of the documentation run, in a folder that has what they name."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from bench.cli.main import main
from zoo import manifest

ROOT = Path(__file__).parent.parent
EXTENDING = ROOT / "docs" / "extending.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def here(tmp_path: Path, class_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "imagenet").mkdir()
    class_folders.rename(tmp_path / "imagenet" / "val")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_run(page: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for block in _blocks(page, "console"):
        for line in re.findall(r"^\$ zoobench (.*)$", block, re.MULTILINE):
            words, _, code = line.partition("  # exit ")
            with pytest.raises(SystemExit) as caught:
                main(shlex.split(words))
            assert (caught.value.code or 0) == int(code or 0), f"{line}\n{capsys.readouterr().err}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_manifests_are_valid(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(_blocks(page, "toml")):
        path = tmp_path / f"{number}.toml"
        path.write_text(block)
        assert manifest.load(str(path)).entries


def test_python_runs(here: Path) -> None:
    with pytest.raises(SystemExit):
        main(["run", "efficientnet_lite0", "--figures", "params"])
    for page in PAGES:
        for block in _blocks(page, "python"):
            exec(compile(block, str(page), "exec"), {})


def test_what_is_to_be_extended_is_there() -> None:
    rows = re.findall(
        r"^\|.*\| (`\w+`(?:, `\w+`)*) in `(.+)` \|$", EXTENDING.read_text(), re.MULTILINE
    )
    assert len(rows) >= 8
    for names, path in rows:
        module = import_module(
            path.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".")
        )
        for name in re.findall(r"\w+", names):
            assert isinstance(getattr(module, name), dict), f"{name} in {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target
