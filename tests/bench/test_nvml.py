"""GPUs are found as CUDA numbers them: by UUID, by CUDA_VISIBLE_DEVICES, with MIG."""

import pynvml
import pytest

from bench import nvml
from tests.bench.fake_nvml import Device, FakeNvml, install, mig_card
from zoo.errors import MeasureError

A, B, C = (Device(f"GPU-{name}") for name in ("aa", "ab", "b"))


def _visible(monkeypatch: pytest.MonkeyPatch, text: str | None) -> list[object]:
    if text is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
    return [gpu.device for gpu in nvml.visible()]


def test_the_fake_has_the_names_of_the_real_one() -> None:
    fakes = [FakeNvml(), FakeNvml(newer=True)]
    for name in {name for fake in fakes for name in (*dir(fake),)}:
        if name.startswith(("nvml", "NVML")):
            assert hasattr(pynvml, name), name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, [A, B, C]),
        ("", []),
        ("2,0", [C, A]),
        ("1, GPU-b", [B, C]),
        ("0,9,1", [A]),  # CUDA ignores what follows a wrong word
        ("0,-1,1", [A]),
        ("GPU-ab", [B]),
        ("GPU-a", []),  # the beginning of two
        ("nonsense,0", []),
    ],
)
def test_cuda_visible_devices_selects_and_orders_the_gpus(
    monkeypatch: pytest.MonkeyPatch, text: str | None, expected: list[Device]
) -> None:
    install(monkeypatch, FakeNvml(cards=[A, B, C]))
    assert _visible(monkeypatch, text) == expected


def test_a_device_is_found_by_its_number_among_the_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeNvml(cards=[A, B, C]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    assert nvml.find(1).device is A
    with pytest.raises(MeasureError, match="cuda:2: NVML finds 2 GPUs"):
        nvml.find(2)


def test_a_uuid_is_exact_whatever_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeNvml(cards=[A, B, C]))
    assert nvml.find(0, "b").device is C
    with pytest.raises(MeasureError, match="no GPU with the UUID x"):
        nvml.find(0, "x")


def test_the_number_is_not_trusted_where_cuda_may_sort_models_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, FakeNvml(cards=[Device("GPU-1", "T4"), Device("GPU-2", "H100")]))
    with pytest.raises(MeasureError, match="set CUDA_DEVICE_ORDER=PCI_BUS_ID"):
        nvml.find(0)
    assert nvml.find(0, "2").name == "H100"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-2")
    assert nvml.find(0).name == "H100"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert nvml.find(0).name == "T4"


def test_a_mig_instance_has_its_own_name_and_its_cards_power(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = mig_card()
    install(monkeypatch, FakeNvml(cards=[card]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-b")
    for gpu in (nvml.find(0), nvml.find(0, "b"), nvml.find(0, "1")):
        assert (gpu.device, gpu.card, gpu.is_mig) == (card.instances[1], card, True)
        assert gpu.name.endswith("MIG 1g.10gb")
        assert nvml.state(gpu)["power_limit_w"] == 500
        assert nvml.state(gpu)["mig_instance"]


def test_of_a_card_in_mig_mode_cuda_uses_the_first_instance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = mig_card()
    install(monkeypatch, FakeNvml(cards=[card]))
    assert nvml.find(0).device is card.instances[0]
    assert nvml.find(0, "1").device is card.instances[0]


def test_the_state_has_limits_clocks_and_modes_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeNvml(cards=[A]))
    assert nvml.state(nvml.find(0)) == {
        "power_limit_w": 500.0,
        "power_limit_default_w": 700.0,
        "sm_mhz": 1980,
        "sm_mhz_max": 1985,
        "memory_mhz": 2619,
        "memory_mhz_max": 2620,
        "ecc": True,
        "mig": False,
        "mig_instance": False,
        "processes": 2,
    }


def test_what_nvml_refuses_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeNvml("limit", "ecc", "mig", "processes", "driver", cards=[A]))
    found = nvml.state(nvml.find(0))
    for name in ("power_limit_w", "ecc", "mig", "processes"):
        assert found[name] is None
    assert nvml.driver() is None
    assert nvml.driver_cuda() is None


def test_without_nvml_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeNvml("init"))
    with pytest.raises(MeasureError, match="NVML: Not Supported"):
        nvml.visible()
    assert nvml.driver() is None


def test_the_drivers_cuda_version_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, FakeNvml()).driver_cuda = 12080
    assert nvml.driver_cuda() == (12, 8)
