"""Peak memory of a worker by the number of images, from files and from cached pixels.

The sample's photographs, made small so that decoding is quick, are repeated up to 50,000 files; the
network is timm's smallest. Each evaluation has a process of its own.

    python tests/perf/memory.py 500 5000 50000
"""

import os
import sys
import tempfile
from pathlib import Path

import torch
from PIL import Image

from bench.data.dataset import open_dataset
from bench.executors.local import in_worker
from bench.measure import Row, accuracy
from bench.plan import Job, Settings
from bench.records import Accuracy
from zoo.entry import Entry, Weights

NETWORK = "test_efficientnet"
PREPROCESS = {
    "resize_px": 256,
    "crop_px": 224,
    "interpolation": "bicubic",
    "mean": (0.5,) * 3,
    "std": (0.5,) * 3,
}


def make(count: int, folder: Path) -> Path:
    """Link so many images, to 20 small ones."""
    sample = open_dataset("sample", labels="imagenet")
    target = folder / f"{count}" / "n01440764"
    target.mkdir(parents=True)
    small = []
    for index, name in enumerate(sample.images):
        small.append(folder / f"{count}-{index}.jpg")
        Image.open(sample.root / name).convert("RGB").resize((96, 80)).save(small[-1])
    for number in range(count):
        (target / f"{number:06}.jpg").symlink_to(small[number % len(small)])
    return target.parent


def evaluate(data: str, weights: str) -> None:
    """Evaluate, and print the process's peak."""
    import timm

    if not Path(weights).exists():
        torch.save(timm.create_model(NETWORK).state_dict(), weights)
    entry = Entry(
        name="tiny",
        source="checkpoint",
        library="timm",
        architecture=NETWORK,
        weights=Weights(file=Path(weights)),
        preprocess=PREPROCESS,
    )
    job = Job(
        entry=entry,
        figures=("top1",),
        settings=Settings(),
        store="unused",
        data=data,
        labels="imagenet",
        limit=None,
        retry_failed=False,
    )
    result = accuracy.run(Row(job, "cpu", "a processor", lambda done, total, unit: None, print))
    assert isinstance(result.evidence, Accuracy)
    timed = result.evidence.end_to_end
    assert timed is not None
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    print(
        f"{result.evidence.images} images from {timed.pixels}: peak "
        f"{int(peak.split()[1]) / 1e6:.3f} GB, {timed.images / timed.seconds:.0f} images/s",
        flush=True,
    )


def main(counts: list[int]) -> None:
    """Measure each number of images twice: the second time from the cache."""
    with tempfile.TemporaryDirectory(prefix="zoobench-memory-") as scratch:
        os.environ["XDG_CACHE_HOME"] = scratch
        for count in counts:
            data = make(count, Path(scratch))
            for _ in range(2):
                in_worker(evaluate, str(data), f"{scratch}/tiny.pth")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [500, 5_000, 50_000])
