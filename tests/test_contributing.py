"""What CONTRIBUTING.md names exists: files, names in the code, make targets, sections of pages."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
WORDS = re.findall(r"`([^`\n]+)`", PAGE)


def _anchor(title: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def _anchors(page: Path) -> set[str]:
    return {_anchor(title) for title in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)}


def _defines(file: Path, name: str) -> bool:
    """Return whether a module assigns, or defines as a class or function, a name at its top."""
    nodes = ast.parse(file.read_text()).body
    return any(
        getattr(node, "name", None) == name
        or name
        in {
            getattr(target, "id", None)
            for target in getattr(node, "targets", [getattr(node, "target", None)])
        }
        for node in nodes
    )


def test_files_exist() -> None:
    paths = [
        word for word in WORDS if re.fullmatch(r"\.?[\w./-]+(/|\.(py|md|toml|csv|yml|txt))", word)
    ]
    named = [path for path in paths if not re.search(r"NAME|TABLE", path)]
    assert len(named) > 30
    assert [path for path in named if not (ROOT / path).exists()] == []
    templates = {Path(path).parent for path in paths if path not in named and "/" in path}
    assert [folder for folder in templates if not (ROOT / folder).is_dir()] == []


def test_dotted_names_exist() -> None:
    names = [w for w in WORDS if re.fullmatch(r"(zoo|bench|reports)(\.\w+)+", w)]
    assert names
    for name in names:
        module, _, attribute = name.rpartition(".")
        path = ROOT / module.replace(".", "/")
        file = path.with_suffix(".py")
        file = file if file.is_file() else path / "__init__.py"
        assert _defines(file, attribute), name


def test_a_constant_is_in_a_file_of_the_same_paragraph() -> None:
    paragraphs = re.split(r"\n\n|\n(?=\d\. |- |\| )", PAGE)
    constants = 0
    for paragraph in paragraphs:
        names = re.findall(r"`([\w/]+\.py)`", paragraph)
        files = [path for name in names for path in ROOT.glob(name.replace("NAME", "*"))]
        for constant in re.findall(r"`(_?[A-Z_]{3,})`", paragraph):
            constants += 1
            assert any(_defines(file, constant) for file in files), f"{constant} in {names}"
    assert constants


def test_links_lead_to_a_section() -> None:
    for target, _, anchor in re.findall(r"\]\((?!https?:)([^)#]+)(#([^)]+))?\)", PAGE):
        page = ROOT / target
        assert page.is_file(), target
        assert not anchor or anchor in _anchors(page), f"{target}#{anchor}"


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    called = re.findall(r"\bmake ([\w-]+)", " ".join(WORDS))
    assert called
    assert set(called) <= set(targets)
