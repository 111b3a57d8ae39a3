"""What the threads of an evaluation have done so far."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.records import Stages


class Tally:
    """Images, seconds a stage, and whether a thread has failed."""

    def __init__(self, progress: Callable[[int], None]) -> None:
        self.images = 0
        self.failed = threading.Event()
        self._seconds = dict.fromkeys(Stages.model_fields, 0.0)
        self._progress = progress
        self._lock = threading.Lock()

    def add_images(self, count: int) -> None:
        """Count images, and tell the progress."""
        with self._lock:
            self.images += count
            self._progress(self.images)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self._seconds[name] += time.perf_counter() - start

    def stages(self) -> Stages:
        """Return the seconds of all stages."""
        return Stages(**self._seconds)
