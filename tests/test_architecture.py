"""docs/architecture.md states who imports whom; the source is parsed and compared with it."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import typer

from bench.cli.main import app

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()
NAME = r"`((?:zoo|bench|reports)(?:\.\w+)*)`"


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    _module(path): ast.parse(path.read_text())
    for top in ("zoo", "bench", "reports")
    for path in sorted((ROOT / top).rglob("*.py"))
}


def _package(module: str) -> str:
    """Return the row of the page's table that a module belongs to."""
    top, *rest = module.split(".")
    return f"bench.{rest[0]}" if top == "bench" and rest else top


def _imported(node: ast.AST) -> Iterator[str]:
    """Yield what a statement imports, or the module that a string such as ``"a.b:c"`` names."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from re.findall(r"^(\w+\.[\w.]+)(?::\w+)?$", node.value)


def _run_on_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements that run when a module is imported."""
    for child in ast.iter_child_nodes(node):
        is_later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if not is_later and "TYPE_CHECKING" not in ast.dump(getattr(child, "test", ast.Pass())):
            yield child
            yield from _run_on_import(child)


def _ours(nodes: Iterator[ast.AST]) -> set[str]:
    """Return the modules of ours that the nodes import."""
    names = {name for node in nodes for name in _imported(node)}
    found = {name if name in MODULES else name.rpartition(".")[0] for name in names}
    return found & MODULES.keys()


@cache
def _imports() -> dict[str, set[str]]:
    """Return which packages each package imports, inside functions and by name included."""
    graph: dict[str, set[str]] = {_package(module): set() for module in MODULES}
    for module, tree in MODULES.items():
        graph[_package(module)] |= {_package(name) for name in _ours(ast.walk(tree))}
    return {package: found - {package, "bench"} for package, found in graph.items()}


def _exists(name: str) -> bool:
    """Return whether a name is a module or is defined in one; import nothing."""
    module, _, defined = name.rpartition(".")
    nodes = ast.iter_child_nodes(MODULES[module]) if module in MODULES else ()
    return name in MODULES or any(defined in _defined(node) for node in nodes)


def _defined(node: ast.AST) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _table() -> str:
    """Return the page's table with its heading and the blank lines around it."""
    rows = [
        f"| `{package}` | {', '.join(f'`{name}`' for name in sorted(imported)) or '–'} |\n"
        for package, imported in sorted(_imports().items())
        if package != "bench"
    ]
    return f"\n| package | imports |\n|---|---|\n{''.join(rows)}\n"


def _reachable(package: str) -> set[str]:
    reached: set[str] = set()
    following = set(_imports()[package])
    while following:
        reached |= following
        following = set().union(*(_imports()[name] for name in following)) - reached
    return reached


def test_the_table_states_every_import() -> None:
    if (table := _table()) not in PAGE:
        pytest.fail(f"write this table in docs/architecture.md:\n{table}", pytrace=False)


def test_the_page_names_every_cycle_of_packages() -> None:
    in_cycles = {name for name in _imports() if name in _reachable(name)}
    (stated,) = re.findall(r"^Cycles today: (.*?)\.\n\n", PAGE, re.MULTILINE | re.DOTALL)
    assert set(re.findall(NAME, stated)) == in_cycles


def test_modules_have_no_import_cycle() -> None:
    graph = {
        module: {
            name
            for node in _run_on_import(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in _ours(iter([node]))
        }
        for module, tree in MODULES.items()
    }
    TopologicalSorter(graph).prepare()


def test_names_on_the_page_exist() -> None:
    names = set(re.findall(NAME, PAGE))
    assert names
    assert {name for name in names if not _exists(name)} == set()


def test_commands_that_measure_nothing_load_neither_torch_nor_timm(tmp_path: Path) -> None:
    """The help of every command, and what the tests of the single commands leave out."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    calls = [["--version"], ["cache"], *([name, "--help"] for name in commands)]
    code = (
        "import sys\nfrom bench.cli.main import main\n"
        f"for words in {calls!r}:\n"
        "    try: main(words)\n"
        "    except SystemExit as end: assert not end.code, (words, end.code)\n"
        "    heavy = {'torch', 'timm', 'torchvision'} & set(sys.modules)\n"
        "    assert not heavy, (words, heavy)\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
