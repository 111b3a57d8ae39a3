"""The fixture of the benchmarks: the device has finished, and the file says which machine it was.

pytest-benchmark keeps runs in a folder named by system and Python, which two processors share; here
the folder and ``machine_info`` name the processor, its cores and threads, and the allocator.
"""

import os
import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import conditions

STORAGE = "file://./.benchmarks"


def machine() -> dict[str, Any]:
    """Return what a speed depends on beside the code, as ``zoobench compare`` has it."""
    import torch

    device = conditions.resolve_device("auto")
    return {
        "device": device,
        "device_name": conditions.device_name(device),
        "processor_name": conditions.processor_name(),
        "processor_id": conditions.processor_id(),
        "cores": conditions.cores(),
        "torch_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "allocator": {name: os.environ.get(name) for name in conditions.ALLOCATOR_ENVIRONMENT},
    }


def folder_name() -> str:
    """Return the name of this machine's folder of saved runs."""
    device = conditions.resolve_device("auto")
    parts = [conditions.processor_name(), conditions.processor_id() or "", f"{conditions.cores()}c"]
    if device != "cpu":
        parts.insert(0, conditions.device_name(device))
    return re.sub(r"[^A-Za-z0-9]+", "-", " ".join(parts)).strip("-")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # Without benchmarks nothing is saved, and torch need not be asked for its device.
    if config.getoption("benchmark_enable") and config.option.benchmark_storage == STORAGE:
        config.option.benchmark_storage = f"{STORAGE}/{folder_name()}"


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    machine_info.update(machine())


@dataclass
class Timer:
    """Runs what is to be timed; each round ends when ``synchronize`` returns."""

    benchmark: BenchmarkFixture
    quick: bool

    def __call__(
        self, call: Callable[[], Any], synchronize: Callable[[], None], *, images: int, **info: Any
    ) -> Any:
        """Time a call that handles so many images; what it was is kept beside the seconds."""

        def finished() -> Any:
            answer = call()
            synchronize()
            return answer

        self.benchmark.extra_info.update(images=images, **info)
        answer = self.benchmark.pedantic(finished, rounds=10, warmup_rounds=2)
        if self.benchmark.stats is not None:
            seconds = statistics.median(self.benchmark.stats.stats.data)
            self.benchmark.extra_info["images_per_s"] = images / seconds
        return answer


@pytest.fixture
def timer(benchmark: BenchmarkFixture) -> Timer:
    """``quick`` where benchmarks are disabled, as in ``make test``: each runs once, on little."""
    return Timer(benchmark, quick=benchmark.disabled)
