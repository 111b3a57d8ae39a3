"""One benchmark an entry of the embedded manifest and figure. ``make perf`` times them.

In ``make test`` each runs once on one or two images, so that none of them rots.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from bench import conditions
from bench.data.dataset import Dataset
from bench.data.decoders import open_decoder
from bench.measure.accuracy import evaluation
from bench.measure.complexity import count_macs, on_meta
from bench.measure.execution import Execution
from bench.measure.pixels import FileLoader, Source
from bench.measure.scoring import Predictions
from bench.measure.train import TrainingStep
from bench.plan import Settings
from bench.records import REFERENCE_DECODER
from tests.perf.conftest import Timer
from zoo import build
from zoo.entry import Entry, Preprocess
from zoo.manifest import load

ENTRIES = {entry.name: entry for entry in load("sample").entries}
BATCH = 16


@dataclass(frozen=True)
class Subject:
    """An entry's network with its weights, ready to run."""

    entry: Entry
    execution: Execution
    preprocess: Preprocess

    def noise(self, batch: int) -> torch.Tensor:
        shape = (batch, *self.preprocess.crop_px, self.preprocess.input_channels)
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        return self.execution.place(pixels, self.preprocess)

    def info(self, figure: str, batch: int) -> dict[str, object]:
        return {
            "entry": self.entry.name,
            "figure": figure,
            "device": self.execution.device.type,
            "precision": "fp32",
            "batch_size": batch,
        }


@pytest.fixture(scope="module", params=ENTRIES)
def subject(request: pytest.FixtureRequest) -> Subject:
    entry = ENTRIES[request.param]
    network = build.trained_network(entry, build.find_weights(entry))
    execution = Execution(network, Settings(), conditions.resolve_device("auto"))
    return Subject(entry, execution, build.preprocess(entry))


@pytest.mark.benchmark(group="images_per_s")
def test_forward(subject: Subject, timer: Timer) -> None:
    batch = 1 if timer.quick else BATCH
    placed = subject.noise(batch)
    logits = timer(
        lambda: subject.execution.forward(placed),
        subject.execution.synchronize,
        images=batch,
        **subject.info("images_per_s", batch),
    )
    assert logits.shape == (batch, 1000)
    assert np.isfinite(logits.cpu().numpy()).all()


@pytest.mark.benchmark(group="end_to_end_images_per_s")
def test_end_to_end(subject: Subject, timer: Timer, sample_set: Dataset) -> None:
    dataset = sample_set.limited(2) if timer.quick else sample_set
    batch = 1 if timer.quick else 5  # four batches: each lane has two
    one = evaluation(subject.execution, subject.preprocess, dataset, batch)
    predictions = Predictions.empty(len(dataset), 5)
    decoder = open_decoder(REFERENCE_DECODER)
    files = Source(FileLoader(dataset, subject.preprocess, decoder))
    timed = timer(
        lambda: one.pass_over(files, range(len(dataset)), predictions, lambda done: None),
        subject.execution.synchronize,
        images=len(dataset),
        **subject.info("end_to_end_images_per_s", batch),
    )
    assert timed.images == len(dataset)
    right = predictions.top[:, 0] == np.asarray(dataset.labels)
    assert right.mean() >= 0.5  # it has the weights and the pixels that it claims to time


@pytest.mark.benchmark(group="train_images_per_s")
def test_training_step(subject: Subject, timer: Timer) -> None:
    batch = 2 if timer.quick else BATCH
    network = build.random_network(subject.entry).train()
    execution = Execution(network, Settings(), conditions.resolve_device("auto"))
    step = TrainingStep(execution, subject.noise(batch))

    def whole() -> float:
        step.forward()
        step.backward()
        step.optimize()
        return float(step.loss.detach())

    loss = timer(
        whole,
        execution.synchronize,
        images=batch,
        **subject.info("train_images_per_s", batch),
    )
    assert 0 < loss < 100


@pytest.mark.benchmark(group="complexity")
def test_complexity(subject: Subject, timer: Timer) -> None:
    shape = (1, *subject.preprocess.input_shape)
    counts = timer(
        lambda: count_macs(on_meta(subject.entry), shape),
        lambda: None,
        images=1,
        **subject.info("complexity", 1),
    )
    assert counts.macs > 10**8
