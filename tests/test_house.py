"""The rooms of the house: which may import which, and where torch may stand."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("zoo", "bench", "reports")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
# Who may import whom, by module prefix; the longest prefix of the importer decides.
ALLOWED = {
    "zoo": ("zoo",),
    "bench": ("bench", "zoo"),
    "bench.cli": ("bench", "zoo", "reports"),
    "reports": (
        "reports",
        "bench.records",
        "bench.store",
        "bench.shards",
        "bench.stats",
        "bench.durable",
        "bench.strict_json",
        "zoo",
    ),
}
TORCH = ("torch", "timm", "torchvision", "fvcore")
TORCH_ROOMS = ("zoo/sources/", "zoo/architectures/", "bench/measure/")
# The fork server imports it by name; no other module may.
PRELOAD = "bench/preload.py"


def _imports(path: Path, *, top_level: bool) -> list[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level else list(ast.walk(tree))
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module]
    return found


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", FILES, ids=lambda p: _module(p))
def test_imports_run_one_way(path: Path) -> None:
    module = _module(path)
    importer = max((name for name in ALLOWED if module.startswith(name)), key=len)
    for name in _imports(path, top_level=False):
        if name.split(".")[0] in ROOMS:
            assert name.startswith(ALLOWED[importer]), f"{module} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: _module(p))
def test_torch_is_imported_only_where_it_is_needed(path: Path) -> None:
    relative = path.relative_to(ROOT).as_posix()
    if relative.startswith(TORCH_ROOMS) and relative != "bench/measure/__init__.py":
        return
    if relative == PRELOAD:
        return
    heavy = [n for n in _imports(path, top_level=True) if n.split(".")[0] in TORCH]
    assert not heavy, f"{relative} imports {heavy} at its top"
