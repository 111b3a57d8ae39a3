"""What every dataset is: images with ids and labels, in one fixed order, under one digest."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import cast

IMAGENET_CLASSES = 1000

# Dataset name -> opener. What is no name here is a folder.
DATASETS = {"sample": "bench.data.sample:open_sample"}
FOLDER = "bench.data.folder:open_folder"


@dataclass(frozen=True)
class Dataset:
    """Labelled images in a fixed order.

    ``images`` are ids: file names relative to ``root``, with forward slashes. ``labels`` index the
    ``classes`` outputs of a network. ``sizes`` are bytes, which the digest holds beside names and
    labels, so that it costs no read of the images.
    """

    name: str
    kind: str
    root: Path
    images: tuple[str, ...]
    labels: tuple[int, ...]
    sizes: tuple[int, ...]
    classes: int
    note: str | None = None

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> bytes:
        """Return the encoded image."""
        return (self.root / self.images[index]).read_bytes()

    @property
    def digest(self) -> str:
        """Return a sha256 over names, labels and byte sizes, in order."""
        rows = zip(self.images, self.labels, self.sizes, strict=True)
        text = "\n".join(f"{image}\t{label}\t{size}" for image, label, size in rows)
        return hashlib.sha256(f"{self.classes}\n{text}".encode()).hexdigest()

    def limited(self, count: int) -> "Dataset":
        """Return ``count`` images spread evenly over the order, so over the classes."""
        if count >= len(self):
            return self
        chosen = [i * len(self) // count for i in range(count)]
        return replace(
            self,
            images=tuple(self.images[i] for i in chosen),
            labels=tuple(self.labels[i] for i in chosen),
            sizes=tuple(self.sizes[i] for i in chosen),
            note=f"{count} of {len(self)} images",
        )


def open_dataset(name_or_folder: str, *, labels: str, limit: int | None = None) -> Dataset:
    """Open a dataset by its name, or a folder.

    Raises:
        DataError: it is not there, holds no images, or its labels are unknown.
    """
    opener = DATASETS.get(name_or_folder, FOLDER)
    module, _, function = opener.partition(":")
    call = cast(Callable[..., Dataset], getattr(import_module(module), function))
    dataset = call(name_or_folder, labels=labels)
    return dataset if limit is None else dataset.limited(limit)
