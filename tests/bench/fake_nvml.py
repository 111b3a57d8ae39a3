"""An NVML that a test invents: cards, MIG instances, and what they refuse to answer."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pynvml
import pytest

NAMES = (
    "SwPowerCap",
    "HwSlowdown",
    "SyncBoost",
    "SwThermalSlowdown",
    "HwThermalSlowdown",
    "HwPowerBrakeSlowdown",
)


class FakeError(Exception):
    pass


@dataclass(eq=False)
class Device:
    """A card, or a MIG instance of one."""

    uuid: str
    name: str = "NVIDIA H100 80GB HBM3"
    card: "Device | None" = None
    instances: Sequence["Device"] = ()


class FakeNvml:
    """Answers as NVML does; what is named in ``refused`` is not supported."""

    NVMLError = FakeError
    NVML_CLOCK_SM = pynvml.NVML_CLOCK_SM
    NVML_CLOCK_MEM = pynvml.NVML_CLOCK_MEM
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU

    def __init__(
        self, *refused: str, cards: Sequence[Device] = (Device("GPU-1"),), newer: bool = False
    ) -> None:
        self.refused = refused
        self.cards = list(cards)
        self.reasons = 0
        self.samples = 0
        self.energy_mj = 5_000_000
        self.processes = ["this one", "another"]
        self.driver_cuda = 13000
        word = "EventReason" if newer else "ThrottleReason"
        for name in NAMES:
            constant = f"nvmlClocks{word}{name}"
            setattr(self, constant, getattr(pynvml, constant))
        setattr(self, f"nvmlDeviceGetCurrentClocks{word}s", self._reasons)

    def _answer(self, name: str, value: Any) -> Any:
        if name in self.refused:
            raise FakeError("Not Supported")
        return value

    def _of_card(self, handle: Device, name: str, value: Any) -> Any:
        """Answer for a whole card; a MIG instance has no power and no clocks of its own."""
        if handle.card is not None:
            raise FakeError("Not Supported")
        return self._answer(name, value)

    def _reasons(self, handle: Device) -> Any:
        return self._of_card(handle, "reasons", self.reasons)

    def nvmlInit(self) -> None:
        self._answer("init", None)

    def nvmlSystemGetDriverVersion(self) -> Any:
        return self._answer("driver", "580.65.06")

    def nvmlSystemGetCudaDriverVersion(self) -> Any:
        return self._answer("driver", self.driver_cuda)

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Device:
        return self.cards[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Device:
        devices = [*self.cards, *(i for card in self.cards for i in card.instances)]
        for device in devices:
            if device.uuid == uuid:
                return device
        raise FakeError("Not Found")

    def nvmlDeviceGetUUID(self, handle: Device) -> str:
        return handle.uuid

    def nvmlDeviceGetName(self, handle: Device) -> Any:
        return self._answer("name", handle.name)

    def nvmlDeviceIsMigDeviceHandle(self, handle: Device) -> bool:
        return handle.card is not None

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle: Device) -> Device:
        assert handle.card is not None
        return handle.card

    def nvmlDeviceGetMigMode(self, handle: Device) -> Any:
        mode = int(bool(handle.instances))
        return self._of_card(handle, "mig", [mode, mode])

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Device) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Device, index: int) -> Device:
        if index >= len(handle.instances):
            raise FakeError("Not Found")
        return handle.instances[index]

    def nvmlDeviceGetClockInfo(self, handle: Device, kind: int) -> Any:
        return self._of_card(handle, "clock", {self.NVML_CLOCK_SM: 1980}.get(kind, 2619))

    def nvmlDeviceGetMaxClockInfo(self, handle: Device, kind: int) -> Any:
        return self._of_card(handle, "clock", {self.NVML_CLOCK_SM: 1985}.get(kind, 2620))

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Device) -> Any:
        return self._of_card(handle, "limit", 500_000)

    def nvmlDeviceGetPowerManagementDefaultLimit(self, handle: Device) -> Any:
        return self._of_card(handle, "limit", 700_000)

    def nvmlDeviceGetEccMode(self, handle: Device) -> Any:
        return self._of_card(handle, "ecc", [1, 0])

    def nvmlDeviceGetTemperature(self, handle: Device, sensor: int) -> Any:
        self.samples += 1
        return self._of_card(handle, "temperature", 61)

    def nvmlDeviceGetPowerUsage(self, handle: Device) -> Any:
        return self._of_card(handle, "power", 650_500)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Device) -> Any:
        return self._answer("processes", self.processes)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Device) -> Any:
        self.energy_mj += 1_200_000
        return self._of_card(handle, "energy", self.energy_mj)


def install(monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml) -> FakeNvml:
    """Let ``import pynvml`` find the invented one, with no variable that selects GPUs set."""
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)
    return nvml


def mig_card() -> Device:
    """Return a card in MIG mode with two instances."""
    card = Device("GPU-1")
    name = f"{card.name} MIG 1g.10gb"
    card.instances = tuple(Device(f"MIG-{i}", name, card) for i in "ab")
    return card
