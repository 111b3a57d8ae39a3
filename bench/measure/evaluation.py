"""One pass of a network over the images of a dataset, whichever way a device likes it best."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from bench.data.dataset import Dataset
from bench.measure.pixels import Source
from bench.measure.scoring import Predictions
from bench.records import EndToEnd

# The images of every forward pass. Libraries choose kernels by the batch, and other kernels differ
# in the last bits: with one batch for all, predictions depend on no setting that is for speed. On a
# GPU a smaller one is bound by the launches of small networks' many kernels.
FORWARD_BATCH = {"cpu": 16, "cuda": 128}


class Evaluation(Protocol):
    """Runs passes over one dataset by one network.

    A batch always has ``places`` places; what the dataset does not fill is dropped, so that the
    last batch takes the same kernels as the others.
    """

    dataset: Dataset
    places: int

    @property
    def steady_images(self) -> int:
        """Return the images of the shortest pass that has a steady middle to time."""

    def warm_up(self) -> None:
        """Run one batch if the first call is costly: a compilation, a GPU's start."""

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


def timed_repeats(one: Evaluation, source: Source, images: int) -> EndToEnd:
    """Time a pass that goes over a small dataset again and again, up to a number of images."""
    total = len(one.dataset)
    order = list(itertools.islice(itertools.cycle(range(total)), images))
    predictions = Predictions.empty(total, 1)
    return one.pass_over(source, order, predictions, lambda done: None)


def batches(indices: Sequence[int], size: int) -> Iterable[Sequence[int]]:
    """Return the indices in batches of ``size``; the last one may be smaller."""
    return (indices[start : start + size] for start in range(0, len(indices), size))
