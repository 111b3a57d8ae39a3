"""Evaluation on a CPU: threads that each load a batch of pixels and then run the network on it.

Each lane runs the network on one core, so that decoding and computing share the cores without a
queue between them.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

from bench.conditions import cores
from bench.data.dataset import Dataset
from bench.measure.evaluation import batches
from bench.measure.execution import Execution, explained
from bench.measure.pixels import Source
from bench.measure.scoring import Predictions, score_batch
from bench.measure.stage_timer import StageTimer
from bench.records import EndToEnd, Stages
from zoo.entry import Preprocess

# Fewer batches per lane than this time the start and the end of a pass rather than its middle.
_MIN_BATCHES_PER_LANE = 4


class Lanes:
    """The threads of one evaluation."""

    def __init__(
        self, execution: Execution, preprocess: Preprocess, dataset: Dataset, places: int
    ) -> None:
        self._execution = execution
        self._preprocess = preprocess
        self.dataset = dataset
        self.places = places
        self.count = cores()

    @property
    def steady_images(self) -> int:
        """Return the images of the shortest pass that has a steady middle to time."""
        return _MIN_BATCHES_PER_LANE * self.count * self.places

    def warm_up(self) -> None:
        """Return: the first call of an eager network on a CPU costs what every call costs."""

    def pass_over(
        self,
        source: Source,
        images: Sequence[int],
        predictions: Predictions,
        progress: Callable[[int], None],
    ) -> EndToEnd:
        """Run the images of a dataset, and fill in their predictions.

        Raises:
            MeasureError: the forward pass fails, or its outputs are not predictions.
        """
        one = _Pass(source, predictions, progress)
        for batch in batches(images, self.places):
            one.work.put(batch)
        start = time.perf_counter()
        with ThreadPoolExecutor(self.count) as pool:
            lanes = [pool.submit(self._lane, one) for _ in range(self.count)]
        for lane in lanes:
            lane.result()
        seconds = time.perf_counter() - start
        return EndToEnd(
            images=len(images),
            seconds=seconds,
            lanes=self.count,
            stages=Stages.model_validate(
                one.timer.seconds("read_decode_s", "resize_s", "copy_s", "model_s", "cache_s")
            ),
            pixels=source.kind,
            also_made=source.also_made,
        )

    def _lane(self, one: "_Pass") -> None:
        torch.set_num_threads(1)  # this thread's own setting; the other lanes have the rest
        while not one.failed.is_set():
            try:
                indices = one.work.get_nowait()
            except queue.Empty:
                return
            try:
                self._run_batch(indices, one)
            except BaseException:
                one.failed.set()
                raise
            one.add_images(len(indices))

    def _run_batch(self, indices: Sequence[int], one: "_Pass") -> None:
        shape = (self.places, *self._preprocess.crop_px, self._preprocess.input_channels)
        pixels = np.zeros(shape, np.uint8)
        loaded = one.source.loader.load(indices, pixels[: len(indices)], one.timer)
        one.source.note(indices, loaded)
        with one.timer.stage("copy_s"):
            batch = self._execution.place(pixels, self._preprocess)
        with one.timer.stage("model_s"):
            try:
                logits = self._execution.forward(batch)
            except RuntimeError as error:
                raise explained(error, len(batch), self._execution.device) from error
            score_batch(logits, indices, loaded, self.dataset, one.predictions)


@dataclass
class _Pass:
    """What the lanes of one pass share."""

    source: Source
    predictions: Predictions
    progress: Callable[[int], None]
    work: "queue.SimpleQueue[Sequence[int]]" = field(default_factory=queue.SimpleQueue)
    timer: StageTimer = field(default_factory=StageTimer)
    failed: threading.Event = field(default_factory=threading.Event)
    done: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add_images(self, count: int) -> None:
        """Count images, and report the progress."""
        with self.lock:
            self.done += count
            self.progress(self.done)
