"""Lanes: threads that each load a batch of pixels and then run the network on it.

On a CPU each lane runs the network on one core, so that decoding and computing share the cores
without a queue between them. On a GPU the lanes load ahead while one or two of them have the
device.
"""

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from bench.conditions import cores
from bench.data.dataset import Dataset
from bench.measure.execution import Execution, explained
from bench.measure.pixels import Source
from bench.measure.scoring import Predictions, read_out
from bench.measure.tally import Tally
from bench.records import EndToEnd
from zoo.entry import Preprocess

# The images of every forward pass. Libraries choose kernels by the batch, and other kernels differ
# in the last bits: with one batch for all, predictions depend on no setting that is for speed.
FORWARD_BATCH = {"cpu": 16, "cuda": 32}
# Fewer batches a lane than this time the start and the end of a pass rather than its middle.
_MIN_BATCHES_A_LANE = 4


class Lanes:
    """The threads of one evaluation, and what they share.

    A batch always has ``places`` places; what the dataset does not fill stays zero and is dropped,
    so that the last batch takes the same kernels as the others.
    """

    def __init__(
        self, execution: Execution, preprocess: Preprocess, dataset: Dataset, places: int
    ) -> None:
        self._execution = execution
        self._preprocess = preprocess
        self._dataset = dataset
        self.places = places
        # A compiled network serves one lane at a time. A GPU serves two: while it computes for one,
        # the other's work is put behind. Two lanes more than there are cores keep these decoding.
        on_gpu = execution.device.type == "cuda"
        self._shared = on_gpu or execution.compiled
        self.count = cores() + (2 if self._shared else 0)
        permits = self.count if not self._shared else 1 if execution.compiled else 2
        self._device_permits = threading.Semaphore(permits)

    def warm_up(self) -> None:
        """Run one batch of zeros where the first call is dear: a compilation, a GPU's start."""
        if self._shared:
            shape = (self.places, *self._preprocess.crop_px, self._preprocess.input_channels)
            batch = self._execution.place(np.zeros(shape, np.uint8), self._preprocess)
            self._execution.seconds_of_first_call(batch)

    def is_long_enough(self, images: int) -> bool:
        """Return whether a pass over so many images has a steady middle to time."""
        return images >= _MIN_BATCHES_A_LANE * self.count * self.places

    def timed_repeats(self, source: Source, batches_a_lane: int = _MIN_BATCHES_A_LANE) -> EndToEnd:
        """Time a pass that goes over a small dataset again and again."""
        images = batches_a_lane * self.count * self.places
        order = itertools.islice(itertools.cycle(range(len(self._dataset))), images)
        return self.pass_over(source, list(order), None, lambda done: None)

    def pass_over(
        self,
        source: Source,
        images: Sequence[int],
        predictions: Predictions | None,
        progress: Callable[[int], None],
    ) -> EndToEnd:
        """Run the images of a dataset; fill in ``predictions`` if given, else only take the time.

        Raises:
            MeasureError: the forward pass fails, or its outputs are no predictions.
        """
        work: queue.SimpleQueue[Sequence[int]] = queue.SimpleQueue()
        for batch in _batches(images, self.places):
            work.put(batch)
        tally = Tally(progress)
        start = time.perf_counter()
        with ThreadPoolExecutor(self.count) as pool:
            lanes = [
                pool.submit(self._lane, work, source, predictions, tally) for _ in range(self.count)
            ]
        for lane in lanes:
            lane.result()
        seconds = time.perf_counter() - start
        return EndToEnd(
            images=tally.images,
            seconds=seconds,
            lanes=self.count,
            stages=tally.stages(),
            pixels=source.kind,
            also_made=source.also_made,
        )

    def _lane(
        self,
        work: "queue.SimpleQueue[Sequence[int]]",
        source: Source,
        predictions: Predictions | None,
        tally: Tally,
    ) -> None:
        if not self._shared:
            torch.set_num_threads(1)  # this thread's own setting; the other lanes have the rest
        while not tally.failed.is_set():
            try:
                indices = work.get_nowait()
            except queue.Empty:
                return
            try:
                self._run_batch(indices, source, predictions, tally)
            except BaseException:
                tally.failed.set()
                raise
            tally.add_images(len(indices))

    def _run_batch(
        self,
        indices: Sequence[int],
        source: Source,
        predictions: Predictions | None,
        tally: Tally,
    ) -> None:
        pixels, good = source.load(indices, self.places, predictions, tally)
        with tally.stage("copy_s"):
            upload = self._execution.upload(pixels)
        with self._device_permits:
            with tally.stage("copy_s"):
                batch = self._execution.normalise(upload, self._preprocess)
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


def _batches(indices: Sequence[int], size: int) -> Iterable[Sequence[int]]:
    return (indices[start : start + size] for start in range(0, len(indices), size))
