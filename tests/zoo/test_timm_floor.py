"""The oldest timm that zoobench accepts, and the one installed, unpickle no code by default."""

import inspect
import tomllib
from pathlib import Path

import timm.models

# timm 1.0.25 and older call torch.load with weights_only=False in load_checkpoint.
FIRST_SAFE = "1.0.26"


def test_no_older_timm_is_accepted() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert [d for d in project["dependencies"] if d.startswith("timm")] == [
        f"timm>={FIRST_SAFE},<2"
    ]


def test_the_installed_one_loads_weights_only() -> None:
    for loader in (timm.models.load_checkpoint, timm.models.load_state_dict):
        assert inspect.signature(loader).parameters["weights_only"].default is True
