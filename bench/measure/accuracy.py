"""Top-1 and top-5: every image of a dataset once, by the weights' own preprocessing."""

import torch

from bench.data.dataset import Dataset
from bench.data.pixel_cache import DamagedPixelsError
from bench.data.preprocess import check_takes_photographs
from bench.measure import Result, Row
from bench.measure.evaluation import FORWARD_BATCH, Evaluation, timed_repeats
from bench.measure.execution import Execution
from bench.measure.lanes import Lanes
from bench.measure.owner import Owner
from bench.measure.pixels import open_source, uncached_source
from bench.measure.scoring import TOP_K, Predictions, evidence, parquet
from bench.records import EndToEnd
from zoo import build
from zoo.entry import Preprocess
from zoo.errors import MeasureError


def run(row: Row) -> Result:
    """Predict every image of the row's dataset.

    Raises:
        MeasureError: the network's outputs do not fit the label space, or are not finite.
    """
    torch.backends.cudnn.benchmark = False  # autotuned kernels may differ from run to run
    check_takes_photographs(row.preprocess)
    network = build.trained_network(row.entry, row.weights, row.tell)
    execution = Execution(network, row.job.settings, row.device)
    one = evaluation(execution, row.preprocess, row.dataset, _forward_batch(row))
    one.warm_up()
    try:
        predictions, timed = _pass(row, one)
    except DamagedPixelsError as damage:
        row.tell(f"{damage}: removed; decoding again")
        predictions, timed = _pass(row, one)
    if not predictions.readable.any():
        index, reason = min(predictions.bad)
        raise MeasureError(
            f"{row.dataset.name}: no image could be read: {row.dataset.images[index]}: {reason}"
        )
    end_to_end: EndToEnd | None = timed
    if row.job.shard is not None or not row.job.alone:
        end_to_end = None  # the time of a part, or one that neighbours disturb, is not the whole's
    elif len(row.dataset) < one.steady_images:
        end_to_end = timed_repeats(one, uncached_source(row), one.steady_images)
    return Result(
        evidence(row.dataset, predictions, end_to_end, one.places),
        parquet(row.entry.name, row.dataset, predictions, row.images if row.job.shard else None),
    )


def evaluation(
    execution: Execution, preprocess: Preprocess, dataset: Dataset, places: int
) -> Evaluation:
    """Return the evaluation that suits a network.

    On a CPU every thread decodes and computes. A GPU, or a compiled network, which serves one
    caller at a time, has one thread to itself, for which processes decode.
    """
    if execution.device.type == "cuda" or execution.compiled:
        return Owner(execution, preprocess, dataset, places)
    return Lanes(execution, preprocess, dataset, places)


def _pass(row: Row, one: Evaluation) -> tuple[Predictions, EndToEnd]:
    """Predict every image once."""
    images = row.images
    predictions = Predictions.empty(len(row.dataset), min(TOP_K, row.dataset.classes))
    with open_source(row, images) as source:
        end_to_end = one.pass_over(
            source,
            images,
            predictions,
            lambda done: row.progress(done, len(images), "images"),
        )
    return predictions, end_to_end


def _forward_batch(row: Row) -> int:
    """Return the images of a forward pass: on CUDA a smaller batch is obeyed, for its memory."""
    if row.device.startswith("cuda"):
        return min(row.batch_size, FORWARD_BATCH["cuda"])
    return FORWARD_BATCH["cpu"]
