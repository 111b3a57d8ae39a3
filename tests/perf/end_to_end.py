"""How much of the slower of (decode alone, model alone) an end-to-end pass reaches.

Run it with ``make perf``. The stages are measured in turns in one process, because machines are
noisy and only ratios inside one run mean anything; each alone has the whole machine.

Where the model has a device of its own, the pass can reach the slower stage. On a CPU both stages
share the cores, and all that can be reached is the sum of their times: 1 / (1/decode + 1/model).
That is 0.9 of the slower stage or more where one stage takes a ninth of the other's time. So three
cases are measured: a small network on this machine, against that bound; one with ten times its
operations, and a simulated device that takes a set time a batch and none of the cores, against the
slower stage.
"""

import sys
import threading
import time
from statistics import median

import torch

from bench import conditions
from bench.data.dataset import Dataset, open_dataset
from bench.data.decoders import open_decoder
from bench.data.preprocess import crop, decode
from bench.executors.local import in_worker
from bench.measure.accuracy import evaluation
from bench.measure.evaluation import timed_repeats
from bench.measure.execution import Execution
from bench.measure.pixels import FileLoader, Source
from bench.measure.timing import Budget, CpuClock, CudaClock, timed
from bench.plan import Settings
from zoo import build
from zoo.entry import Entry, Preprocess
from zoo.manifest import load

ROUNDS = 3
BATCH = 16
REPEATS = 8
# Has ten times the operations of EfficientNet-Lite0; its weights do not change its speed.
LARGE = Entry(name="resnet50", source="timm", architecture="resnet50")


class SimulatedDevice(Execution):
    """Answers each batch after the time that a device of ``images_per_s`` would take."""

    def __init__(self, images_per_s: float, classes: int) -> None:
        # Compiled, so that one thread owns it, as on a device.
        super().__init__(torch.nn.Identity(), Settings(compile="inductor"), "cpu")
        self._images_per_s = images_per_s
        self._classes = classes

    def normalise(self, pixels: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
        return pixels.clone()  # a device normalises for itself

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        time.sleep(len(batch) / self._images_per_s)
        return torch.zeros(len(batch), self._classes)


def decode_images_per_s(dataset: Dataset, preprocess: Preprocess) -> float:
    """Return images/s of reading, decoding, resizing and cropping on all cores."""
    lanes = conditions.cores()

    def lane(first: int) -> None:
        for index in range(first, REPEATS * len(dataset), lanes):
            crop(decode(dataset.read(index % len(dataset)), preprocess), preprocess)

    start = time.perf_counter()
    threads = [threading.Thread(target=lane, args=(i,)) for i in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return REPEATS * len(dataset) / (time.perf_counter() - start)


def model_images_per_s(execution: Execution, preprocess: Preprocess) -> float:
    """Return images/s of forward passes alone, with all threads, as the figure ``speed`` has it."""
    torch.set_num_threads(conditions.cores())
    batch = torch.randn(BATCH, *preprocess.input_shape, device=execution.device)
    batch = batch.contiguous(memory_format=execution.memory_format)
    clock = CudaClock(execution.device) if execution.device.type == "cuda" else CpuClock()
    budget = Budget(warmup_steps=1, min_steps=6, min_seconds=1)
    timing = timed(lambda: execution.forward(batch), clock, budget)
    return BATCH / median(timing.steps_s)


def _turns(
    execution: Execution, preprocess: Preprocess, dataset: Dataset
) -> list[tuple[float, float, float]]:
    """Return (decode, model, end to end) in images/s, a tuple a round."""
    one = evaluation(execution, preprocess, dataset, BATCH)
    source = Source(FileLoader(dataset, preprocess, open_decoder("pillow")))
    one.warm_up()
    rounds = []
    for _ in range(ROUNDS):
        timed_pass = timed_repeats(one, source, 3 * one.steady_images)
        rounds.append(
            (
                decode_images_per_s(dataset, preprocess),
                model_images_per_s(execution, preprocess),
                timed_pass.images / timed_pass.seconds,
            )
        )
    return rounds


def _print(title: str, bound: str, rounds: list[tuple[float, float, float]]) -> None:
    decoded, model, end_to_end = (median(column) for column in zip(*rounds, strict=True))
    shared = [e * (1 / d + 1 / m) for d, m, e in rounds]
    slower = [e / min(d, m) for d, m, e in rounds]
    ratios = shared if bound == "the shared cores' bound" else slower
    print(
        f"{title}: decode {decoded:.0f}, model {model:.0f}, end to end {end_to_end:.0f} images/s: "
        f"{median(ratios):.2f} of {bound} [{min(ratios):.2f}, {max(ratios):.2f}], "
        f"{median(slower):.2f} of the slower stage",
        flush=True,
    )


def main(entry: Entry) -> None:
    """Measure one entry, a large network, and devices half, once and twice as fast as decoding."""
    dataset = open_dataset("sample", labels="imagenet")
    preprocess = build.preprocess(entry)
    device = conditions.resolve_device("auto")
    network = build.trained_network(entry, build.find_weights(entry))
    bound = "the shared cores' bound" if device == "cpu" else "the slower stage"
    rounds = _turns(Execution(network, Settings(), device), preprocess, dataset)
    _print(f"{entry.name} on {device}", bound, rounds)
    large, its = Execution(build.random_network(LARGE), Settings(), device), build.preprocess(LARGE)
    _print(f"{LARGE.name} on {device}", "the slower stage", _turns(large, its, dataset))
    rate = decode_images_per_s(dataset, preprocess)
    for share in (0.5, 1.0, 2.0):
        simulated = SimulatedDevice(rate * share, dataset.classes)
        rounds = _turns(simulated, preprocess, dataset)
        _print(f"simulated device, {share:g} of decode", "the slower stage", rounds)


if __name__ == "__main__":
    names = sys.argv[1:] or ["efficientnet_lite0"]
    for chosen in load("sample").entries:
        if chosen.name in names:
            in_worker(main, chosen)
