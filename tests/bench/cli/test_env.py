"""``zoobench env`` prints what metrics depend on, without torch and without CUDA."""

import json
import os
import subprocess
import sys

import pytest

from bench.cli.main import main
from tests.bench.fake_nvml import Device, FakeNvml, install

Capture = pytest.CaptureFixture[str]


def _printed(capsys: Capture, *words: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["env", *words])
    assert not caught.value.code
    return capsys.readouterr().out


def test_the_json_has_versions_gpus_and_variables(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, FakeNvml(cards=[Device("GPU-1"), Device("GPU-2", "Tesla T4")]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    found = json.loads(_printed(capsys, "--format", "json"))
    assert found["software"]["torch"]
    assert found["driver"] == "580.65.06"
    assert [gpu["name"] for gpu in found["gpus"]] == ["Tesla T4"]
    assert found["gpus"][0]["power_limit_w"] == 500
    assert found["environment"]["CUDA_VISIBLE_DEVICES"] == "1"
    assert found["environment"]["MALLOC_ARENA_MAX"] == "4"
    assert "MALLOC_ARENA_MAX" not in found["workers_start_with"]


def test_the_terminal_has_the_same(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeNvml())
    monkeypatch.setenv("CUDNN_LOGLEVEL_DBG", "3")
    text = _printed(capsys)
    for part in ("GPU 0", "NVIDIA H100 80GB HBM3", "power_limit_w", "CUDNN_LOGLEVEL_DBG", "pillow"):
        assert part in text


@pytest.mark.parametrize(
    ("nvml", "visible", "reason"),
    [
        (FakeNvml("init"), None, "NVML: Not Supported"),
        (FakeNvml(), "", "CUDA_VISIBLE_DEVICES selects none"),
    ],
)
def test_without_a_gpu_there_is_the_reason(
    nvml: FakeNvml,
    visible: str | None,
    reason: str,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, nvml)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert reason in _printed(capsys)


def test_torch_is_not_imported() -> None:
    code = (
        "import sys\n"
        "from bench.cli.main import main\n"
        "try:\n    main(['env'])\n"
        "except SystemExit as end:\n    assert not end.code, end\n"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})


def test_an_unknown_format_lists_the_formats(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["env", "--format", "yaml"])
    assert caught.value.code == 2
    assert "choices: json, terminal" in capsys.readouterr().err
