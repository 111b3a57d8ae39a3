"""The workflows, templates and hooks are valid YAML, and call only what the project has."""

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from bench.cli.main import app

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
HOOKS = ROOT / ".pre-commit-config.yaml"
MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in _load(workflow)["jobs"].values() for step in job["steps"]]


def _shell(workflow: Path) -> str:
    return "\n".join(step["run"] for step in _steps(workflow) if "run" in step)


def _hook_commands() -> list[str]:
    return [hook["entry"] for repo in _load(HOOKS)["repos"] for hook in repo["hooks"]]


def missing(shell: str) -> list[str]:
    """Return what shell commands call and the project does not have."""
    shell = shell.replace("\\\n", " ")
    return [
        *_missing_targets(shell),
        *_missing_files(shell),
        *_missing_modules(shell),
        *_missing_tools(shell),
        *_missing_in_zoobench(shell),
    ]


def _missing_targets(shell: str) -> list[str]:
    targets = re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE)
    called = re.findall(r"(?:^|[\s;&|(])make +([\w-]+)", shell)
    return [f"make {name}" for name in called if name not in targets]


def _missing_files(shell: str) -> list[str]:
    called = re.findall(r"[\w./-]+\.(?:py|sh|txt)\b", shell)
    return [name for name in called if not (ROOT / name).is_file()]


def _missing_modules(shell: str) -> list[str]:
    """Of the project's folders only: other modules are installed by the workflow itself."""
    called = re.findall(r"python3? -m ([\w.]+)", shell)
    own = [name for name in called if (ROOT / name.partition(".")[0]).is_dir()]
    return [name for name in own if find_spec(name) is None]


def _missing_tools(shell: str) -> list[str]:
    extra = {
        re.split(r"[<>=]", line)[0]
        for line in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"])
    }
    known = {"python", *PROJECT["scripts"], *extra}
    return [name for name in re.findall(r"bin/([\w-]+)", shell) if name not in known]


def _missing_in_zoobench(shell: str) -> list[str]:
    root = typer.main.get_command(app)
    absent = []
    for name, rest in re.findall(r"bin/zoobench +([a-z]+)([^|;&\n]*)", shell):
        command = root.commands.get(name)  # type: ignore[attr-defined]
        if command is None:
            absent.append(f"zoobench {name}")
            continue
        options = {word for param in command.params for word in param.opts}
        given = re.findall(r"(?<=\s)--[\w-]+", rest)
        absent += [f"zoobench {name} {word}" for word in given if word not in options]
    return absent


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda p: p.stem)
def test_a_workflow_calls_only_what_exists(workflow: Path) -> None:
    shell = _shell(workflow)
    assert "make " in shell or "bin/zoobench" in shell
    assert not missing(shell)


@pytest.mark.parametrize(
    "shell",
    [
        "cd base && make no-such-target",
        "make test\nmake no-such-target",
        "python tests/perf/no_such.py",
        "python -m tests.no_such",
        ".venv/bin/no-such-tool .",
        ".venv/bin/zoobench no",
        ".venv/bin/zoobench run --no-such-option",
        ".venv/bin/zoobench run \\\n  --no-such-option",
    ],
)
def test_a_call_of_something_missing_is_found(shell: str) -> None:
    (name,) = missing(shell)
    assert "no" in name


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda p: p.stem)
def test_a_step_runs_commands_or_an_action_of_a_fixed_version(workflow: Path) -> None:
    for step in _steps(workflow):
        assert ("run" in step) != ("uses" in step), step
        assert re.search(r"@v\d", step.get("uses", "@v1")), step


def test_the_tests_run_on_every_python_that_the_package_supports() -> None:
    matrix = _load(ROOT / ".github/workflows/tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    prefix = "Programming Language :: Python :: "
    supported = [line.removeprefix(prefix) for line in PROJECT["classifiers"] if prefix in line]
    assert matrix["python"] == supported


def test_the_hooks_are_the_checks_of_make_lint() -> None:
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert recipe is not None
    check = r"/(ruff \w+|mypy)"
    assert [re.findall(check, command)[0] for command in _hook_commands()] == re.findall(
        check, recipe[1]
    )
    assert not missing("\n".join(_hook_commands()))


@pytest.mark.parametrize("form", FORMS, ids=lambda p: p.stem)
def test_an_issue_form_has_what_github_requires(form: Path) -> None:
    content = _load(form)
    assert content["name"]
    assert content["description"]
    ids = [field["id"] for field in content["body"]]
    assert len(set(ids)) == len(ids)
    assert all(field["attributes"]["label"] for field in content["body"])
