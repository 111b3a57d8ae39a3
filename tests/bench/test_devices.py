"""A device that cannot be used costs one line, and naming one opens no CUDA context."""

import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench import conditions
from tests.bench.fake_nvml import Device, FakeNvml, install, mig_card
from zoo.errors import MeasureError


def _no_context(*arguments: Any) -> Any:
    raise AssertionError("this would open a CUDA context")


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """Two GPUs, a torch that has not used them, and an alarm if it does."""
    _torch_with(monkeypatch, gpus=2)
    monkeypatch.setattr(torch.cuda, "get_device_name", _no_context)
    monkeypatch.setattr(torch.cuda, "get_device_properties", _no_context)
    return install(monkeypatch, FakeNvml(cards=[Device("GPU-1"), Device("GPU-2")]))


def _torch_with(monkeypatch: pytest.MonkeyPatch, *, gpus: int, cuda: str | None = "13.0") -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch, "__version__", "2.14.1")


def _reason(device: str) -> str:
    with pytest.raises(MeasureError) as caught:
        conditions.resolve_device(device)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:-1", "cudafoo", "cuda:", "CUDA", ""])
def test_an_unknown_device_lists_the_devices(device: str) -> None:
    assert _reason(device) == f"device {device!r}: unknown; choices: auto, cpu, cuda, cuda:N"


def test_a_gpu_that_is_not_there_lists_those_that_are(card: FakeNvml) -> None:
    assert conditions.resolve_device("cuda:1") == "cuda:1"
    assert _reason("cuda:2") == "device 'cuda:2': there is no such GPU; choices: cuda:0, cuda:1"
    assert _reason("cuda:7").endswith("choices: cuda:0, cuda:1")


def test_cuda_without_cuda_in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    _torch_with(monkeypatch, gpus=0, cuda=None)
    assert _reason("cuda") == (
        "device 'cuda': torch 2.14.1 is built without CUDA; install a build with CUDA; "
        "or use --device cpu"
    )


def test_cuda_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    _torch_with(monkeypatch, gpus=0)
    install(monkeypatch, FakeNvml("init"))
    assert "NVML no driver; install the NVIDIA driver" in _reason("cuda:0")


def test_cuda_with_all_gpus_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    _torch_with(monkeypatch, gpus=0)
    install(monkeypatch, FakeNvml())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES is ''; name a GPU there" in _reason("cuda")


def _old_driver(monkeypatch: pytest.MonkeyPatch, driver_cuda: int) -> None:
    def is_available() -> bool:
        warnings.warn("CUDA initialization: it failed\nin C++", UserWarning, stacklevel=1)
        return False

    _torch_with(monkeypatch, gpus=0)
    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    install(monkeypatch, FakeNvml()).driver_cuda = driver_cuda


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "auto"])
def test_a_driver_too_old_for_torch_is_named_with_both_versions(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _old_driver(monkeypatch, 12080)
    assert _reason(device) == (
        f"device {device!r}: torch 2.14.1 needs a driver for CUDA 13.0, driver 580.65.06 is for "
        "CUDA 12.8; update the driver; or use --device cpu"
    )


def test_another_failure_has_the_first_line_of_torchs_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _old_driver(monkeypatch, 13000)
    assert "cannot use the GPU: CUDA initialization: it failed;" in _reason("auto")


def test_auto_is_the_gpu_or_the_cpu_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    _torch_with(monkeypatch, gpus=1)
    assert conditions.resolve_device("auto") == "cuda"
    _torch_with(monkeypatch, gpus=0)
    install(monkeypatch, FakeNvml("init"))
    assert conditions.resolve_device("auto") == "cpu"
    _torch_with(monkeypatch, gpus=0, cuda=None)
    install(monkeypatch, FakeNvml())
    assert conditions.resolve_device("auto") == "cpu"


def test_names_and_conditions_open_no_context(card: FakeNvml) -> None:
    assert conditions.device_name("cuda:1") == "NVIDIA H100 80GB HBM3"
    found = conditions.collect("cuda")
    assert found["device_name"] == "NVIDIA H100 80GB HBM3"
    assert (found["driver"], found["cudnn"]) == ("580.65.06", None)
    assert found["gpu"] == {
        "power_limit_w": 500.0,
        "power_limit_default_w": 700.0,
        "sm_mhz": 1980,
        "sm_mhz_max": 1985,
        "memory_mhz": 2619,
        "memory_mhz_max": 2620,
        "ecc": True,
        "mig": False,
        "mig_instance": False,
        "other_processes": 2,
    }


def test_this_process_is_not_another_one(card: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    properties = [SimpleNamespace(uuid=uuid) for uuid in "21"]
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties.__getitem__)
    assert conditions.gpu_state("cuda:0")["other_processes"] == 1
    card.processes = []  # a container may see none, not even its own
    assert conditions.gpu_state("cuda:0")["other_processes"] == 0


def test_a_mig_instance_has_its_own_name(card: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    card.cards = [mig_card()]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a")
    assert conditions.device_name("cuda").endswith("MIG 1g.10gb")
    assert conditions.gpu_state("cuda")["mig_instance"]


@pytest.mark.parametrize("refused", ["init", "name"])
def test_torch_names_the_gpu_where_nvml_does_not(
    refused: str, card: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    card.refused = (refused,)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"torch's {device}")
    assert conditions.device_name("cuda:1") == "torch's cuda:1"
    if refused == "init":
        assert conditions.gpu_state("cuda") == {"note": "NVML: Not Supported"}
