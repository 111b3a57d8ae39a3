"""A repository whose revisions differ by a slow-down of known size: blocks that a network runs.

The network is a chain of equal blocks, so that three more of a hundred are 3 % more work; beside it
is one that no revision touches. They lie in a copy of ``zoo``, which each revision's side imports
instead of the installed one.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
BLOCKS = 100
# Percent of extra blocks, each a tag of the repository beside p0: p3, p5, p10.
PLANTED = (3, 5, 10)

_NETWORK = '''"""A chain of equal blocks."""

from torch import nn


def chain(blocks: int) -> nn.Sequential:
    """Return the chain, with a classifier behind it."""
    stem = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU()]
    body = [layer for _ in range(blocks) for layer in (nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)]
    return nn.Sequential(*stem, *body, *head)


def planted() -> nn.Sequential:
    """Return the chain that a revision makes longer."""
    return chain({blocks})


def untouched() -> nn.Sequential:
    """Return the chain that is the same in every revision."""
    return chain({untouched})
'''
_ENTRY = """
[[entry]]
name = "{name}"
source = "zoobench"
architecture = "{name}"

[entry.preprocess]
resize_px = 32
crop_px = 32
interpolation = "bicubic"
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
"""
NAMES = ("untouched", "planted")


def network(blocks: int) -> Any:
    """Return the network of a number of blocks, as the revisions have it."""
    names: dict[str, Any] = {}
    exec(_source(blocks), names)
    return names["planted"]()


def make_repository(folder: Path) -> Path:
    """Make the repository, with a tag for each slow-down; return its manifest."""
    shutil.copytree(ROOT / "zoo", folder / "zoo", ignore=shutil.ignore_patterns("__pycache__"))
    names = folder / "zoo" / "architectures" / "__init__.py"
    lines = [f'ARCHITECTURES["{name}"] = "zoo.architectures.planted:{name}"' for name in NAMES]
    names.write_text("\n".join([names.read_text(), *lines, ""]))
    _git(folder, "init", "--quiet")
    for percent in (0, *PLANTED):
        source = _source(BLOCKS * (100 + percent) // 100)
        (folder / "zoo" / "architectures" / "planted.py").write_text(source)
        _git(folder, "add", "--all")
        _git(folder, "commit", "--quiet", "--message", f"{percent} % more work")
        _git(folder, "tag", f"p{percent}")
    manifest = folder / "planted.toml"
    manifest.write_text("schema = 1\n" + "".join(_ENTRY.format(name=name) for name in NAMES))
    return manifest


def _source(blocks: int) -> str:
    return _NETWORK.format(blocks=blocks, untouched=BLOCKS)


def _git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=planted", "-c", "user.email=planted@example.invalid")
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)
