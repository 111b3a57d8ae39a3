"""Evaluation on a GPU: one thread owns the device, and processes decode for it.

The owner uploads, normalises, runs the network and reads its outputs, always in the same thread,
whose kernel plans are those that the warm-up chose. It launches a batch while the device computes
the one before, and scores on the host what has come back. Decoding threads would share one
interpreter lock: on 16 cores they decode 1,400 images/s, and processes 3,000 (benchmarks/results).
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from bench.conditions import cores
from bench.data.dataset import Dataset
from bench.measure.decode_pool import TASKS_PER_BATCH, DecodedBatch, DecodePool
from bench.measure.execution import Execution, explained
from bench.measure.pixels import Source
from bench.measure.scoring import Predictions, check_outputs, score_batch
from bench.measure.stage_timer import StageTimer
from bench.measure.transfer import Download, Transfers, Upload
from bench.records import EndToEnd, OwnerSeconds, Stages
from zoo.entry import Preprocess

# One batch is computed while the next one is launched behind it.
_IN_FLIGHT = 2
# A pass that is timed has this many batches, and this many tasks per decoding process, at least.
_MIN_BATCHES = 8
_MIN_TASKS_PER_PROCESS = 8


class Owner:
    """The thread that calls it owns the device: nothing else may run there."""

    def __init__(
        self, execution: Execution, preprocess: Preprocess, dataset: Dataset, places: int
    ) -> None:
        self.execution = execution
        self._preprocess = preprocess
        self._shape = (*preprocess.crop_px, preprocess.input_channels)
        self._processes = cores()
        self.dataset = dataset
        self.places = places

    @property
    def steady_images(self) -> int:
        """Return the images of the shortest pass that has a steady middle to time."""
        tasks = max(_MIN_BATCHES * TASKS_PER_BATCH, _MIN_TASKS_PER_PROCESS * self._processes)
        return tasks * self.places // TASKS_PER_BATCH

    def warm_up(self) -> None:
        """Run one batch of zeros, so that compilation and the device's start are in no pass."""
        zeros = np.zeros((self.places, *self._shape), np.uint8)
        self.execution.seconds_of_first_call(self.execution.place(zeros, self._preprocess))

    def pass_over(
        self,
        source: Source,
        images: Sequence[int],
        predictions: Predictions,
        progress: Callable[[int], None],
    ) -> EndToEnd:
        """Run the images of a dataset, and fill in their predictions.

        Raises:
            MeasureError: the forward pass fails, its outputs are not predictions, or a decoding
                process died.
        """
        with (
            _one_host_thread(self.execution),
            DecodePool(source.loader, self._shape, self.places, self._processes) as pool,
            _pinned(pool, self.execution),
        ):
            one = _Pass(self, pool, source, predictions, progress)
            start = time.perf_counter()
            one.run(images)
            seconds = time.perf_counter() - start
        return EndToEnd(
            images=one.done,
            seconds=seconds,
            lanes=self._processes,
            stages=_stages(one.timer),
            pixels=source.kind,
            also_made=source.also_made,
        )

    def launch(self, pool: DecodePool, decoded: DecodedBatch) -> "_Launched":
        """Launch a batch's way from host memory to its outputs in host memory.

        Raises:
            MeasureError: the forward pass fails, or its outputs do not fit the labels.
        """
        transfers = self.execution.transfers
        try:
            upload = transfers.upload(torch.from_numpy(pool.pixels[decoded.slot]))
            arrived = transfers.arrived(upload)
            began = transfers.mark()
            logits = self.execution.forward(self.execution.normalise(arrived, self._preprocess))
            ended = transfers.mark()
            check_outputs(logits, self.places, self.dataset)
            return _Launched(decoded, upload, began, ended, transfers.download(logits))
        except RuntimeError as error:
            raise explained(error, self.places, self.execution.device) from error


@dataclass
class _Pass:
    """One pass: what is on the device, in the order of its launches, and what is done."""

    owner: Owner
    pool: DecodePool
    source: Source
    predictions: Predictions
    progress: Callable[[int], None]
    timer: StageTimer = field(default_factory=StageTimer)
    launched: "deque[_Launched]" = field(default_factory=deque)
    done: int = 0

    def run(self, images: Sequence[int]) -> None:
        """Launch each batch behind the one before, and score what has come back."""
        decoded_batches = self.pool.batches(images, self.timer)
        while (decoded := self._next(decoded_batches)) is not None:
            with self.timer.stage("host_s"):
                self.launched.append(self.owner.launch(self.pool, decoded))
            if len(self.launched) == _IN_FLIGHT:
                self._finish_first()
        while self.launched:
            self._finish_first()

    def _next(self, decoded_batches: Iterator[DecodedBatch]) -> DecodedBatch | None:
        with self.timer.stage("wait_pixels_s"):
            return next(decoded_batches, None)

    def _finish_first(self) -> None:
        first = self.launched.popleft()
        transfers = self.owner.execution.transfers
        with self.timer.stage("wait_device_s"):
            transfers.wait(first.logits.ended)
        with self.timer.stage("host_s"):
            self.timer.add(first.device_seconds(transfers))
            self.pool.release(first.decoded)
            indices, loaded = first.decoded.indices, first.decoded.loaded
            self.source.note(indices, loaded)
            logits = first.logits.output
            score_batch(logits, indices, loaded, self.owner.dataset, self.predictions)
            self.done += len(indices)
            self.progress(self.done)


@contextmanager
def _pinned(pool: DecodePool, execution: Execution) -> Iterator[None]:
    """Pin the pool's memory, so that copies from it run while the device computes."""
    pixels = torch.from_numpy(pool.pixels)
    pinned = execution.transfers.pin(pixels)
    try:
        yield
    finally:
        execution.synchronize()  # a copy may be under way
        if pinned:
            execution.transfers.unpin(pixels)


@contextmanager
def _one_host_thread(execution: Execution) -> Iterator[None]:
    """Score on one core while a GPU computes: a team of threads would wait for busy cores."""
    before = torch.get_num_threads()
    if execution.device.type == "cuda":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _stages(timer: StageTimer) -> Stages:
    owned = timer.seconds("wait_pixels_s", "host_s", "wait_device_s")
    others = timer.seconds("read_decode_s", "resize_s", "copy_s", "model_s", "cache_s")
    return Stages.model_validate({**others, "owned_s": OwnerSeconds.model_validate(owned)})


@dataclass(frozen=True)
class _Launched:
    """A batch on the device: ``began`` and ``ended`` are marks of the model's work."""

    decoded: DecodedBatch
    upload: Upload
    began: Any
    ended: Any
    logits: Download

    def device_seconds(self, transfers: Transfers) -> dict[str, float]:
        """Return the device's seconds of the copy and of the model, once both are done."""
        return {
            "copy_s": transfers.seconds(self.upload.began, self.upload.ended),
            "model_s": transfers.seconds(self.began, self.ended),
        }
