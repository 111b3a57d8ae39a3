"""What trained networks see in single pictures: the most probable classes. Runs in a worker."""

from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from bench import conditions
from bench.data.preprocess import UNREADABLE, Pixels, check_takes_photographs, crop, decode, oddity
from bench.measure.execution import Execution, explained
from bench.plan import Settings
from bench.predict import Event, Picture
from zoo import build
from zoo.entry import Entry, Preprocess
from zoo.errors import MeasureError, ZoobenchError, first_line, with_type


def run(
    entries: Sequence[Entry], pictures: Sequence[Picture], top: int, device: str, pipe: Connection
) -> None:
    """Send what each network says of each picture, then None; errors are sent too."""
    for entry in entries:
        try:
            for event in _events(entry, pictures, top, conditions.resolve_device(device)):
                pipe.send(event)
        except ZoobenchError as error:
            pipe.send({"event": "skipped", "model": entry.name, "reason": str(error)})
        except Exception as error:  # whatever a model does, the others go on
            pipe.send({"event": "skipped", "model": entry.name, "reason": with_type(error)})
    pipe.send(None)


def _events(entry: Entry, pictures: Sequence[Picture], top: int, device: str) -> Iterator[Event]:
    build.check(entry)
    weights = build.find_weights(entry)
    preprocess = build.preprocess(entry)
    check_takes_photographs(preprocess)
    notes: list[str] = []
    network = build.trained_network(entry, weights, notes.append)
    yield from ({"event": "note", "model": entry.name, "text": text} for text in notes)
    execution = Execution(network, Settings(device=device), device)
    for number, picture in enumerate(pictures):
        try:
            data = picture.read()
            pixels = crop(decode(data, preprocess), preprocess)
            odd = oddity(data)
        except UNREADABLE as error:
            yield {"event": "unreadable", "picture": number, "reason": _reason(error)}
            continue
        yield {
            "event": "classified",
            "picture": number,
            "model": entry.name,
            "weights_sha256": weights.sha256,
            "odd": odd,
            **_classify(execution, pixels, preprocess, top),
        }


def _reason(error: Exception) -> str:
    """Return one line; the system's own words about a file, without its number."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return first_line(error)


def _classify(
    execution: Execution, pixels: Pixels, preprocess: Preprocess, top: int
) -> dict[str, Any]:
    """Return the classes and probabilities of one picture of (H, W, C), the largest first.

    Raises:
        MeasureError: the forward pass fails, or its output is not finite or no (1, classes).
    """
    batch = execution.place(np.array(pixels[None]), preprocess)
    try:
        logits = execution.forward(batch)
    except RuntimeError as error:
        raise explained(error, 1, execution.device) from error
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != 1:
        raise MeasureError("the network's output is no list of classes")
    probabilities = logits.float().softmax(dim=1)[0]
    if not torch.isfinite(probabilities).all():
        raise MeasureError("NaN or infinity in the network's output")
    best = probabilities.topk(min(top, len(probabilities)))
    return {
        "classes_in_all": len(probabilities),
        "classes": best.indices.tolist(),
        "probabilities": best.values.tolist(),
    }
