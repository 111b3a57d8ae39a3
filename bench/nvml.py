"""GPUs as NVML knows them: found without a CUDA context, numbered as CUDA numbers them."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from zoo.errors import MeasureError, first_line


@dataclass(frozen=True)
class Gpu:
    """A CUDA device.

    Attributes:
        nvml: the module ``pynvml``, initialised.
        device: NVML's handle of the device, which may be a MIG instance.
        card: the handle of the whole card, which alone answers for power, energy and clocks.
        is_mig: whether the two differ.
    """

    nvml: Any
    device: Any
    card: Any
    is_mig: bool = False

    @property
    def name(self) -> str:
        """Return the device's name, as torch gives it too; raise MeasureError if NVML has none."""
        try:
            return str(self.nvml.nvmlDeviceGetName(self.device))
        except self.nvml.NVMLError as error:
            raise MeasureError(f"NVML: no name: {error}") from None


def find(index: int, uuid: str | None = None) -> Gpu:
    """Return a CUDA device.

    Args:
        index: CUDA's number of the device in this process.
        uuid: as torch gives it, without a prefix, where CUDA is initialised; it is exact.

    Raises:
        MeasureError: there is no NVML, or it does not know the device; the message says why.
    """
    if uuid is not None:
        return _by_uuid(_opened(), index, uuid)
    _check_order()
    gpus = visible()
    if index >= len(gpus):
        raise MeasureError(f"cuda:{index}: NVML finds {len(gpus)} GPUs that CUDA may use")
    return gpus[index]


def visible() -> list[Gpu]:
    """Return the devices that CUDA may use (CUDA_VISIBLE_DEVICES), in the order of the bus.

    Raises:
        MeasureError: there is no NVML.
    """
    nvml = _opened()
    return [_gpu(nvml, handle) for handle in _selected(nvml, _cards(nvml))]


def driver() -> str | None:
    """Return the NVIDIA driver's version, or None where there is no NVML."""
    try:
        nvml = _opened()
    except MeasureError:
        return None
    version: str | None = _asked(nvml, nvml.nvmlSystemGetDriverVersion)
    return version


def driver_cuda() -> tuple[int, int] | None:
    """Return the newest CUDA version (major, minor) that the driver runs; None without NVML."""
    try:
        nvml = _opened()
    except MeasureError:
        return None
    version = _asked(nvml, nvml.nvmlSystemGetCudaDriverVersion)
    if version is None:
        return None
    return version // 1000, version % 1000 // 10


def state(gpu: Gpu) -> dict[str, Any]:
    """Return limits, clocks and modes of a device as plain JSON; None is what NVML refuses.

    Power and clocks of a MIG instance are those of its whole card.
    """
    nvml, card = gpu.nvml, gpu.card
    sm, memory = nvml.NVML_CLOCK_SM, nvml.NVML_CLOCK_MEM
    return {
        "power_limit_w": _milli(_asked(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, card)),
        "power_limit_default_w": _milli(
            _asked(nvml, nvml.nvmlDeviceGetPowerManagementDefaultLimit, card)
        ),
        "sm_mhz": _asked(nvml, nvml.nvmlDeviceGetClockInfo, card, sm),
        "sm_mhz_max": _asked(nvml, nvml.nvmlDeviceGetMaxClockInfo, card, sm),
        "memory_mhz": _asked(nvml, nvml.nvmlDeviceGetClockInfo, card, memory),
        "memory_mhz_max": _asked(nvml, nvml.nvmlDeviceGetMaxClockInfo, card, memory),
        "ecc": _current(_asked(nvml, nvml.nvmlDeviceGetEccMode, card)),
        "mig": _current(_asked(nvml, nvml.nvmlDeviceGetMigMode, card)),
        "mig_instance": gpu.is_mig,
        "processes": _count(_asked(nvml, nvml.nvmlDeviceGetComputeRunningProcesses, gpu.device)),
    }


def _opened() -> Any:
    """Return the initialised module; raise MeasureError where there is no NVML."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise MeasureError(f"NVML: {first_line(error)}") from None
    return pynvml


def _cards(nvml: Any) -> list[Any]:
    """Return the handles of all cards, in the order of the bus."""
    try:
        return [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        raise MeasureError(f"NVML: {first_line(error)}") from None


def _selected(nvml: Any, cards: list[Any]) -> Iterator[Any]:
    """Yield the handles that CUDA_VISIBLE_DEVICES selects; CUDA ignores all after a wrong word."""
    words = _visible_words()
    if words is None:
        yield from cards
        return
    for word in words:
        handle = _named(nvml, cards, word)
        if handle is None:
            return
        yield handle


def _visible_words() -> list[str] | None:
    """Return the words of CUDA_VISIBLE_DEVICES; None if it is not set."""
    text = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if text is None else [word.strip() for word in text.split(",")]


def _check_order() -> None:
    """Raise MeasureError if CUDA may number the cards in another order: its fastest one first."""
    words = _visible_words()
    if os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" or (
        words and all(word.startswith(("GPU-", "MIG-")) for word in words)
    ):
        return
    nvml = _opened()
    models = {_asked(nvml, nvml.nvmlDeviceGetName, card) for card in _cards(nvml)}
    if len(models) > 1:
        raise MeasureError(
            f"GPUs of {len(models)} models: CUDA's order is not NVML's; set "
            "CUDA_DEVICE_ORDER=PCI_BUS_ID"
        )


def _named(nvml: Any, cards: list[Any], word: str) -> Any:
    """Return the handle of a number, a MIG UUID, or a card's UUID or its beginning; else None."""
    if word.isdigit():
        return cards[int(word)] if int(word) < len(cards) else None
    if word.startswith("MIG-"):
        return _asked(nvml, nvml.nvmlDeviceGetHandleByUUID, word)
    if not word.startswith("GPU-"):
        return None
    found = [c for c in cards if str(_asked(nvml, nvml.nvmlDeviceGetUUID, c)).startswith(word)]
    return found[0] if len(found) == 1 else None


def _by_uuid(nvml: Any, index: int, uuid: str) -> Gpu:
    """Return the device of a UUID; torch may give a MIG instance the UUID of its card."""
    words = (_visible_words() or [])[index : index + 1]
    mig = [word for word in words if word.startswith("MIG-")]
    for name in (*mig, f"GPU-{uuid}", f"MIG-{uuid}"):
        handle = _asked(nvml, nvml.nvmlDeviceGetHandleByUUID, name)
        if handle is not None:
            return _gpu(nvml, handle)
    raise MeasureError(f"NVML finds no GPU with the UUID {uuid}")


def _gpu(nvml: Any, handle: Any) -> Gpu:
    """Return the device of a handle: of a card in MIG mode, its first instance, as CUDA does."""
    if _asked(nvml, nvml.nvmlDeviceIsMigDeviceHandle, handle):
        card = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle)
        return Gpu(nvml, handle, card, is_mig=True)
    for number in range(_instances(nvml, handle)):
        instance = _asked(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, number)
        if instance is not None:
            return Gpu(nvml, instance, handle, is_mig=True)
    return Gpu(nvml, handle, handle)


def _instances(nvml: Any, card: Any) -> int:
    """Return the number of MIG instances that a card may have now; 0 where MIG is off."""
    if not _current(_asked(nvml, nvml.nvmlDeviceGetMigMode, card)):
        return 0
    return _asked(nvml, nvml.nvmlDeviceGetMaxMigDeviceCount, card) or 0


def _asked(nvml: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what NVML answers, or None if it refuses."""
    try:
        return function(*arguments)
    except nvml.NVMLError:
        return None


def _current(modes: Any) -> bool | None:
    """Return the mode of now, of (now, after the next reset)."""
    return None if modes is None else bool(modes[0])


def _milli(value: int | None) -> float | None:
    return None if value is None else value / 1e3


def _count(found: Any) -> int | None:
    return None if found is None else len(found)
