"""How long each stage of an evaluation took, added over its threads."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

Stage = Literal[
    "read_decode_s",
    "resize_s",
    "cache_s",
    "copy_s",
    "model_s",
    "wait_pixels_s",
    "host_s",
    "wait_device_s",
]


class StageTimer:
    """Seconds per stage; any number of threads use it."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add({name: time.perf_counter() - start})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add seconds to stages."""
        with self._lock:
            for name, value in seconds.items():
                self._seconds[name] = self._seconds.get(name, 0.0) + value

    def seconds(self, *names: Stage) -> dict[str, float]:
        """Return the seconds of some stages, 0 for one that never ran."""
        return {name: self._seconds.get(name, 0.0) for name in names}
