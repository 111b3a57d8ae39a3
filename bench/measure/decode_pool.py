"""Processes that decode batches into memory that they share with the owner of a device.

A batch is decoded by several processes at once, each a task of its images, so that the first one is
ready soon and the last one does not wait for one process. Batches come out in their order.

The processes are forks of this one, as those of torch's DataLoader are: they have the dataset, the
open files and the shared memory from the start, and never touch CUDA. They are all forked before
the memory is pinned, which a fork would not get.
"""

import itertools
import math
import mmap
import multiprocessing
import os
import threading
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType

import numpy as np

from bench.data.preprocess import Pixels
from bench.measure.evaluation import batches
from bench.measure.pixels import Loaded, Loader
from bench.measure.stage_timer import StageTimer
from zoo.errors import MeasureError

_CONTEXT = multiprocessing.get_context("fork")
TASKS_PER_BATCH = 8
# Tasks that wait behind the one that a process works on, so that none is idle.
_TASKS_AHEAD = 1
# Batches that have been decoded and are on the device, or about to be.
_HELD_BATCHES = 3


@dataclass(frozen=True)
class DecodedBatch:
    """Images whose pixels are in the first places of a slot; the other places are zeros."""

    slot: int
    indices: Sequence[int]
    loaded: Loaded


class DecodePool:
    """Decoding processes, and the slots of pixels that they fill.

    Args:
        loader: what each process has.
        shape: (H, W, C) of an image.
        places: images per batch.
        processes: how many decode.
    """

    def __init__(
        self, loader: Loader, shape: tuple[int, int, int], places: int, processes: int
    ) -> None:
        self._places = places
        self._task = math.ceil(places / TASKS_PER_BATCH)
        tasks = processes * (1 + _TASKS_AHEAD)
        slots = math.ceil(tasks / TASKS_PER_BATCH) + _HELD_BATCHES
        memory = mmap.mmap(-1, slots * places * math.prod(shape))  # shared with forks
        self.pixels: Pixels = np.frombuffer(memory, np.uint8).reshape(slots, places, *shape)
        self._free = deque(range(slots))
        # A process ends when this end of the pipe closes, however this process ends.
        owner, self._alive = _CONTEXT.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(
            processes,
            mp_context=_CONTEXT,
            initializer=_begin,
            initargs=(loader, self.pixels, owner, self._alive),
        )
        self._processes = processes

    def __enter__(self) -> "DecodePool":
        """Start the processes, and wait until they run."""
        with _named_deaths(), warnings.catch_warnings():
            # Of a fork beside threads: those of this process hold no lock that decoding needs.
            warnings.simplefilter("ignore", DeprecationWarning)
            for started in [self._pool.submit(os.getpid) for _ in range(self._processes)]:
                started.result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the processes; after an error, without the tasks that wait."""
        self._pool.shutdown(cancel_futures=True)
        self._alive.close()

    def batches(self, indices: Sequence[int], timer: StageTimer) -> Iterator[DecodedBatch]:
        """Yield the batches of the images of a dataset in their order.

        The caller releases each one when its pixels are no longer needed; decoding runs ahead only
        as far as there are free slots.

        Args:
            indices: the images.
            timer: to which the processes' seconds are added.

        Raises:
            MeasureError: a process died.
        """
        coming = iter(batches(indices, self._places))
        ahead: deque[tuple[int, Sequence[int], list[Future[_Task]]]] = deque()
        with _named_deaths():
            while True:
                for batch in itertools.islice(coming, len(self._free)):
                    slot = self._free.popleft()
                    ahead.append((slot, batch, self._submit(slot, batch)))
                if not ahead:
                    return
                slot, batch, tasks = ahead.popleft()
                done = [task.result() for task in tasks]
                for task in done:
                    timer.add(task.seconds)
                self.pixels[slot, len(batch) :] = 0
                yield DecodedBatch(slot, batch, [image for task in done for image in task.loaded])

    def release(self, batch: DecodedBatch) -> None:
        """Let the slot of a batch be filled again."""
        self._free.append(batch.slot)

    def _submit(self, slot: int, batch: Sequence[int]) -> "list[Future[_Task]]":
        return [
            self._pool.submit(_decode, slot, start, batch[start : start + self._task])
            for start in range(0, len(batch), self._task)
        ]


@dataclass(frozen=True)
class _Task:
    """What a task returns: its pixels are in the shared memory."""

    loaded: Loaded
    seconds: dict[str, float]


class _Worker:
    """What a decoding process has: set once, when it begins."""

    loader: Loader
    pixels: Pixels


def _begin(loader: Loader, pixels: Pixels, owner: Connection, alive: Connection) -> None:
    """Prepare a decoding process, which has one thread for each task and ends with its owner."""
    import torch

    torch.set_num_threads(1)
    alive.close()  # the owner alone keeps it open
    _Worker.loader = loader
    _Worker.pixels = pixels
    threading.Thread(target=_end_with, args=(owner,), daemon=True).start()


def _end_with(owner: Connection) -> None:
    """End this process when the other end of a pipe closes."""
    try:
        owner.recv()
    except (EOFError, OSError):
        os._exit(1)


def _decode(slot: int, start: int, indices: Sequence[int]) -> _Task:
    timer = StageTimer()
    target = _Worker.pixels[slot, start : start + len(indices)]
    loaded = _Worker.loader.load(indices, target, timer)
    return _Task(loaded, timer.seconds("read_decode_s", "resize_s", "cache_s"))


@contextmanager
def _named_deaths() -> Iterator[None]:
    """Turn the death of a decoding process into the row's reason."""
    try:
        yield
    except BrokenProcessPool:
        raise MeasureError(
            "a decoding process died (killed for memory?): give fewer cores by OMP_NUM_THREADS"
        ) from None
