"""The table of environment variables: complete, documented, and the only one."""

from pathlib import Path

import pytest

from bench import conditions, environment

PAGE = Path(__file__).parents[2] / "docs" / "environment.md"


def test_the_page_has_the_table_of_the_code() -> None:
    assert environment.markdown() in PAGE.read_text()


def test_no_variable_is_listed_twice() -> None:
    listed = [variable.name for variable in environment.VARIABLES]
    assert len(set(listed)) == len(listed)
    assert all(variable.changes for variable in environment.VARIABLES)


@pytest.mark.parametrize(
    "name",
    [
        *("CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG"),
        *("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "CUDA_LAUNCH_BLOCKING"),
        *("CUDA_MODULE_LOADING", "CUDNN_LOGLEVEL_DBG", "TORCHINDUCTOR_MAX_AUTOTUNE"),
        *("TIMM_FUSED_ATTN", "OMP_NUM_THREADS"),
        *conditions.worker_environment(),
    ],
)
def test_what_changes_metrics_is_listed(name: str) -> None:
    assert environment.is_listed(name)


def test_what_is_set_is_recorded_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_MAX_AUTOTUNE", "1")
    monkeypatch.setenv("MY_CUDNN_TOKEN", "secret")
    monkeypatch.delenv("CUDA_LAUNCH_BLOCKING", raising=False)
    found = conditions.collect("cpu")["environment"]
    assert found["TORCHINDUCTOR_MAX_AUTOTUNE"] == "1"
    assert "MY_CUDNN_TOKEN" not in found
    assert "CUDA_LAUNCH_BLOCKING" not in found
