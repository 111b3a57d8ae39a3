"""What a network's outputs say of each image, and the evidence and the file made of it."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from bench import shards
from bench.data.dataset import Dataset
from bench.measure.pixels import Loaded
from bench.records import Accuracy, BadImage, EndToEnd
from zoo.errors import MeasureError

TOP_K = 5


@dataclass
class Predictions:
    """What the network says of each image, by its place in the dataset; NaN where unreadable."""

    top: NDArray[np.int32]  # (images, k) class indices, most probable first
    prob: NDArray[np.float32]
    label_prob: NDArray[np.float32]
    readable: NDArray[np.bool_]
    sha256: NDArray[np.uint8]  # (images, 32) of the encoded files
    bad: list[tuple[int, str]] = field(default_factory=list)
    odd: list[tuple[int, str]] = field(default_factory=list)

    @classmethod
    def empty(cls, images: int, k: int) -> "Predictions":
        """Return room for the predictions of so many images."""
        return cls(
            top=np.full((images, k), -1, np.int32),
            prob=np.full(images, np.nan, np.float32),
            label_prob=np.full(images, np.nan, np.float32),
            readable=np.zeros(images, np.bool_),
            sha256=np.zeros((images, 32), np.uint8),
        )


def score_batch(
    logits: torch.Tensor,
    indices: Sequence[int],
    loaded: Loaded,
    dataset: Dataset,
    predictions: Predictions,
) -> None:
    """Fill in what is known of the images of a batch, and the predictions of those that are good.

    Args:
        logits: (places, classes).
        indices: the images of the dataset that the batch was made of, in its first places.
        loaded: what is known of each of these images.
        dataset: for its labels and classes.
        predictions: to be filled in.

    Raises:
        MeasureError: the outputs do not fit the label space, or are not finite.
    """
    for index, image in zip(indices, loaded, strict=True):
        if image.sha256:
            predictions.sha256[index] = np.frombuffer(image.sha256, np.uint8)
        if image.reason is not None:
            predictions.bad.append((index, image.reason))
        if image.odd is not None:
            predictions.odd.append((index, image.odd))
    good = np.flatnonzero([image.reason is None for image in loaded])
    top, prob, label_prob = read_out(logits, len(logits), indices, good, dataset)
    images = np.asarray(indices)[good]
    predictions.top[images] = top[:, : predictions.top.shape[1]]
    predictions.prob[images] = prob
    predictions.label_prob[images] = label_prob
    predictions.readable[images] = True


def read_out(
    logits: torch.Tensor,
    places: int,
    indices: Sequence[int],
    good: NDArray[np.intp],
    dataset: Dataset,
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
    """Return (n, k) top classes, the first's probability and the label's, of good images.

    Where the dataset has a mask, all of these are among its classes only.

    Args:
        logits: (places, classes).
        places: the batch size; places without an image are dropped.
        indices: the images of the dataset that the batch was made of.
        good: the places with an image that could be read.
        dataset: for its labels and classes.

    Raises:
        MeasureError: the outputs do not fit the label space, or are not finite.
    """
    check_outputs(logits, places, dataset)
    logits = logits.float()[torch.from_numpy(good).to(logits.device)]
    finite = torch.isfinite(logits).all(dim=1).cpu().numpy()
    if not finite.all():
        index = indices[good[int(np.argmin(finite))]]
        raise MeasureError(
            f"NaN or infinity in the logits of {dataset.images[index]} "
            f"({int((~finite).sum())} of {len(finite)} images of its batch)"
        )
    # The classes among which a prediction is made, as the network numbers them.
    classes = np.asarray(dataset.mask or range(dataset.classes))
    if dataset.mask is not None:
        logits = logits[:, torch.from_numpy(classes).to(logits.device)]
    labels = np.searchsorted(classes, [dataset.labels[i] for i in np.asarray(indices)[good]])
    probabilities = logits.softmax(dim=1)
    top = logits.topk(min(TOP_K, logits.shape[1]), dim=1).indices
    prob = probabilities.gather(1, top[:, :1])[:, 0]
    label_prob = probabilities.gather(1, torch.from_numpy(labels).to(logits.device)[:, None])[:, 0]
    return classes[top.cpu().numpy()].astype(np.int32), prob.cpu().numpy(), label_prob.cpu().numpy()


def check_outputs(output: object, places: int, dataset: Dataset) -> None:
    """Raise MeasureError if a network's output does not fit the dataset's label space."""
    shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if shape != (places, dataset.classes):
        raise MeasureError(
            f"the network's output is {shape}, and the label space of {dataset.name!r} "
            f"has {dataset.classes} classes: num_classes does not fit the labels"
        )


def evidence(
    dataset: Dataset, predictions: Predictions, end_to_end: EndToEnd | None, forward_batch: int
) -> Accuracy:
    """Return the counts that an accuracy is made of."""
    right = _right(dataset, predictions.top)
    whole_top5 = right.shape[1] == TOP_K
    return Accuracy(
        dataset=dataset.name if dataset.note is None else f"{dataset.name} ({dataset.note})",
        dataset_kind=dataset.kind,
        images_in_dataset=len(dataset),
        images=int(predictions.readable.sum()),
        correct_top1=int(right[:, 0].sum()),
        correct_top5=int(right.any(axis=1).sum()) if whole_top5 else None,
        bad_images=_named(dataset, predictions.bad),
        odd_images=_named(dataset, predictions.odd),
        left_out=dataset.left_out,
        content_sha256=hashlib.sha256(predictions.sha256.tobytes()).hexdigest(),
        end_to_end=end_to_end,
        forward_batch=forward_batch,
    )


def _named(dataset: Dataset, found: Sequence[tuple[int, str]]) -> tuple[BadImage, ...]:
    return tuple(BadImage(image=dataset.images[i], reason=reason) for i, reason in sorted(found))


def _right(dataset: Dataset, top: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return (images, k): whether a class is a right label of its image."""
    if dataset.right_labels is None:
        return top == np.asarray(dataset.labels)[:, None]
    pairs = zip(top, dataset.right_labels, strict=True)
    return np.array([np.isin(classes, labels) for classes, labels in pairs])


def parquet(
    entry: str, dataset: Dataset, predictions: Predictions, shard: range | None = None
) -> bytes:
    """Return the readable images' predictions as a Parquet file; the entry is in its metadata.

    Those of a shard of the dataset, given by its places, say too what the whole has to be.
    """
    keep = np.flatnonzero(predictions.readable)
    columns = {
        "image": pa.array([dataset.images[i] for i in keep], pa.string()),
        "label": pa.array([dataset.labels[i] for i in keep], pa.int32()),
        "pred": pa.array(predictions.top[keep, 0], pa.int32()),
        "top5": pa.array(predictions.top[keep].tolist(), pa.list_(pa.int32())),
        "prob": pa.array(predictions.prob[keep], pa.float32()),
        "label_prob": pa.array(predictions.label_prob[keep], pa.float32()),
    }
    if dataset.right_labels is not None:
        all_right = [dataset.right_labels[i] for i in keep]
        columns["labels"] = pa.array(all_right, pa.list_(pa.int32()))
    metadata = {"entry": entry, "dataset_digest": dataset.digest}
    if shard is not None:
        own = predictions.sha256[shard.start : shard.stop]
        metadata |= shards.metadata(dataset.images, own.tobytes())
    table = pa.table(columns).replace_schema_metadata(metadata)
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()
