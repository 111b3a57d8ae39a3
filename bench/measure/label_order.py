"""For ``doctor``, in a worker: what a trained network says of some images, and what pixels cost."""

import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from bench import conditions
from bench.data.dataset import Dataset, open_dataset
from bench.data.decoders import DECODERS, open_decoder
from bench.data.preprocess import UNREADABLE, check_takes_photographs, crop, decode
from bench.measure.execution import Execution
from bench.measure.scoring import read_out
from bench.plan import Settings
from zoo import build
from zoo.entry import Entry, Preprocess
from zoo.errors import MeasureError, ZoobenchError, with_type

_BATCH = 16
_TIMED_IMAGES = 48


def run(entry: Entry, data: str, labels: str, places: Sequence[int], pipe: Connection) -> None:
    """Send (place, class, probability) of every image, then the pixels' cost, then None.

    Args:
        entry: whose preprocessing and weights are taken.
        data: as for ``open_dataset``.
        labels: as for ``open_dataset``.
        places: of images that can be decoded.
        pipe: takes ``{"predicted": …}``, ``{"unread": [(place, reason)]}`` of images that the
            preprocessing refuses, and ``{"cost": …}``; or why not, ``{"not_checked": reason}`` and
            ``{"cost_not_measured": reason}``: one check that fails leaves the other.
    """

    def predict() -> None:
        dataset = open_dataset(data, labels=labels)
        preprocess = build.preprocess(entry)
        check_takes_photographs(preprocess)
        for event in _predictions(entry, dataset, preprocess, places):
            pipe.send(event)

    def time_pixels() -> None:
        dataset = open_dataset(data, labels=labels)
        pipe.send({"cost": _cost(dataset, build.preprocess(entry), places[:_TIMED_IMAGES])})

    for check, failed in ((predict, "not_checked"), (time_pixels, "cost_not_measured")):
        try:
            check()
        except ZoobenchError as error:
            pipe.send({failed: str(error)})
        except Exception as error:  # whatever a model does, the rest of the examination stands
            pipe.send({failed: with_type(error)})
    pipe.send(None)


def _cost(dataset: Dataset, preprocess: Preprocess, places: Sequence[int]) -> dict[str, Any]:
    """Return milliseconds an image of one core, by decoder, and the bytes of a crop."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    costs = {name: _milliseconds(name, dataset, preprocess, places) for name in DECODERS}
    torch.set_num_threads(threads)
    height, width = preprocess.crop_px
    return {
        "ms": {name: ms for name, ms in costs.items() if ms is not None},
        "bytes_an_image": height * width * preprocess.input_channels,
        "preprocess": preprocess.describe(),
    }


def _milliseconds(
    name: str, dataset: Dataset, preprocess: Preprocess, places: Sequence[int]
) -> float | None:
    """Return a decoder's mean time an image, reading included; None if it does not run here."""
    seconds, images = 0.0, 0
    try:
        decoder = open_decoder(name)
        for place in places:
            start = time.perf_counter()
            try:
                decoder.crop(decoder.decode(dataset.read(place), preprocess), preprocess)
            except UNREADABLE:
                continue
            seconds, images = seconds + time.perf_counter() - start, images + 1
    except MeasureError:
        return None
    return 1000 * seconds / images if images else None


def _predictions(
    entry: Entry, dataset: Dataset, preprocess: Preprocess, places: Sequence[int]
) -> Iterator[dict[str, Any]]:
    network = build.trained_network(entry, build.find_weights(entry))
    execution = Execution(network, Settings(), conditions.resolve_device("auto"))
    for start in range(0, len(places), _BATCH):
        indices, pixels = [], []
        for place in places[start : start + _BATCH]:
            try:
                pixels.append(crop(decode(dataset.read(place), preprocess), preprocess))
                indices.append(place)
            except UNREADABLE as error:
                yield {"unread": [(place, with_type(error))]}
        if not indices:
            continue
        logits = execution.forward(execution.place(np.stack(pixels), preprocess))
        top, prob, _ = read_out(logits, len(indices), indices, np.arange(len(indices)), dataset)
        yield {"predicted": list(zip(indices, top[:, 0].tolist(), prob.tolist(), strict=True))}
