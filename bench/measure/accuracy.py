"""Top-1 and top-5: every image of a dataset once, by the weights' own preprocessing.

The work is done by lanes, threads that each decode a batch and then run the network on it. On a CPU
each lane runs the network on one core, so that decoding and computing share the cores without a
queue between them. On a GPU one lane at a time has the device while the others decode.
"""

import hashlib
import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from bench.conditions import cores
from bench.data.dataset import Dataset
from bench.data.preprocess import UNREADABLE, crop, decode
from bench.measure import Result, Row
from bench.measure.execution import Execution, explained
from bench.measure.scoring import TOP_K, Predictions, evidence, parquet, read_out
from bench.records import EndToEnd, Stages
from zoo import build
from zoo.entry import Preprocess
from zoo.errors import MeasureError, with_type

# Fewer batches a lane than this time the start and the end of a pass rather than its middle.
_MIN_BATCHES_A_LANE = 4


def run(row: Row) -> Result:
    """Predict every image of the row's dataset.

    Raises:
        MeasureError: the network's outputs do not fit the label space, or are not finite.
    """
    torch.backends.cudnn.benchmark = False  # autotuned kernels may differ from run to run
    network = build.trained_network(row.entry, row.weights)
    execution = Execution(network, row.job.settings, row.device)
    lanes = Lanes(execution, row.preprocess, row.dataset, row.batch_size)
    lanes.warm_up()
    total = len(row.dataset)
    predictions = Predictions.empty(total, min(TOP_K, row.dataset.classes))
    whole = lanes.pass_over(
        _batches(range(total), row.batch_size),
        predictions,
        lambda done: row.progress(done, total, "images"),
    )
    if not predictions.readable.any():
        raise MeasureError(f"{row.dataset.name}: no image could be read")
    end_to_end = whole if lanes.is_long_enough(total) else lanes.timed_repeats()
    return Result(
        evidence(row.dataset, predictions, end_to_end),
        parquet(row.entry.name, row.dataset, predictions),
    )


class Lanes:
    """The threads of one evaluation, and what they share.

    A batch always has ``batch_size`` places; what the dataset does not fill stays zero and is
    dropped, so that the last batch takes the same kernels as the others.
    """

    def __init__(
        self, execution: Execution, preprocess: Preprocess, dataset: Dataset, batch_size: int
    ) -> None:
        self._execution = execution
        self._preprocess = preprocess
        self._dataset = dataset
        self._batch_size = batch_size
        # A GPU, and a compiled network, serve one lane at a time; two lanes more than there are
        # cores keep the cores decoding while one lane has the device and one waits for it.
        self._shared = execution.device.type == "cuda" or execution.compiled
        self.count = cores() + (2 if self._shared else 0)
        self._device_permits = threading.Semaphore(1 if self._shared else self.count)

    def warm_up(self) -> None:
        """Run one batch of zeros, so that no image pays for the first call."""
        self._execution.seconds_of_first_call(self._place(self.empty_batch()))

    def is_long_enough(self, images: int) -> bool:
        """Return whether a pass over so many images has a steady middle to time."""
        return images >= _MIN_BATCHES_A_LANE * self.count * self._batch_size

    def timed_repeats(self, batches_a_lane: int = _MIN_BATCHES_A_LANE) -> EndToEnd:
        """Time a pass that goes over a small dataset again and again."""
        images = batches_a_lane * self.count * self._batch_size
        order = itertools.islice(itertools.cycle(range(len(self._dataset))), images)
        return self.pass_over(_batches(list(order), self._batch_size), None, lambda done: None)

    def pass_over(
        self,
        batches: Iterable[Sequence[int]],
        predictions: Predictions | None,
        progress: Callable[[int], None],
    ) -> EndToEnd:
        """Run all batches; fill in ``predictions`` if given, else only take the time."""
        work: queue.SimpleQueue[Sequence[int]] = queue.SimpleQueue()
        for batch in batches:
            work.put(batch)
        tally = _Tally(progress)
        start = time.perf_counter()
        with ThreadPoolExecutor(self.count) as pool:
            lanes = [pool.submit(self._lane, work, predictions, tally) for _ in range(self.count)]
        for lane in lanes:
            lane.result()
        seconds = time.perf_counter() - start
        return EndToEnd(
            images=tally.images, seconds=seconds, lanes=self.count, stages=tally.stages()
        )

    def _lane(
        self,
        work: "queue.SimpleQueue[Sequence[int]]",
        predictions: Predictions | None,
        tally: "_Tally",
    ) -> None:
        if not self._shared:
            torch.set_num_threads(1)  # this thread's own setting; the other lanes have the rest
        while not tally.failed.is_set():
            try:
                indices = work.get_nowait()
            except queue.Empty:
                return
            try:
                self._run_batch(indices, predictions, tally)
            except BaseException:
                tally.failed.set()
                raise
            tally.add_images(len(indices))

    def _run_batch(
        self, indices: Sequence[int], predictions: Predictions | None, tally: "_Tally"
    ) -> None:
        pixels, good = self._decode(indices, predictions, tally)
        with self._device_permits:
            with tally.stage("copy_s"):
                batch = self._place(pixels)
            with tally.stage("model_s"):
                try:
                    logits = self._execution.forward(batch)
                    top, prob, label_prob = read_out(
                        logits, len(batch), indices, good, self._dataset
                    )
                except RuntimeError as error:
                    raise explained(error, len(batch), self._execution.device) from error
        if predictions is not None:
            where = np.asarray(indices)[good]
            predictions.top[where] = top
            predictions.prob[where] = prob
            predictions.label_prob[where] = label_prob
            predictions.readable[where] = True

    def _decode(
        self, indices: Sequence[int], predictions: Predictions | None, tally: "_Tally"
    ) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
        """Return pixels (batch_size, H, W, C), and which of their places hold an image."""
        pixels = self.empty_batch()
        good = []
        for place, index in enumerate(indices):
            try:
                with tally.stage("read_decode_s"):
                    data = self._dataset.read(index)
                    if predictions is not None:
                        digest = hashlib.sha256(data).digest()
                        predictions.sha256[index] = np.frombuffer(digest, np.uint8)
                    image = decode(data, self._preprocess)
                with tally.stage("resize_s"):
                    pixels[place] = crop(image, self._preprocess)
            except UNREADABLE as error:
                if predictions is not None:
                    predictions.bad.append((index, with_type(error)))
                continue
            good.append(place)
        return pixels, np.asarray(good, np.intp)

    def _place(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        return self._execution.place(pixels, self._preprocess)

    def empty_batch(self) -> NDArray[np.uint8]:
        """Return zeros of (batch_size, H, W, C)."""
        channels = self._preprocess.input_channels
        return np.zeros((self._batch_size, *self._preprocess.crop_px, channels), np.uint8)


class _Tally:
    """What the lanes have done so far: images, seconds a stage, and whether one has failed."""

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


def _batches(indices: Sequence[int], size: int) -> Iterable[Sequence[int]]:
    return (indices[start : start + size] for start in range(0, len(indices), size))
