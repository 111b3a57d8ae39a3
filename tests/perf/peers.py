"""``zoobench run`` beside timm's ``validate.py`` and ``bulk_runner.py``: whole commands, in turns.

timm's scripts are in its repository and not in its wheel, and none of them lies here: give the
folder that holds both with ``--scripts``. ``--data`` is a folder of class folders. The weights of
EfficientNet-Lite0 are real; those of MobileNetV3-small and ResNet-18 are random, which takes as
long. Seconds are of the command as typed, start and end included, by the clock and of all cores
together ("cpu"), workers included. Only the ratios of one round mean anything; on a machine that
others use, those of the cores' seconds mean more.

    python tests/perf/peers.py --scripts DIR --data imagenet/val --images 200
"""

import argparse
import ctypes
import json
import multiprocessing.forkserver
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch

from bench import conditions
from bench.data.dataset import open_dataset
from bench.data.decoders import open_decoder
from bench.executors.local import in_worker
from bench.measure.evaluation import FORWARD_BATCH
from bench.measure.execution import Execution
from bench.measure.pixels import FileLoader
from bench.measure.stage_timer import StageTimer
from bench.plan import Settings
from zoo import build
from zoo.entry import Preprocess
from zoo.manifest import load

# Name in the manifest -> (timm's name, crop, ratio of crop to resize).
ENTRIES = {
    "lite0": ("tf_efficientnet_lite0", 224, 0.875),
    "mobilenetv3": ("mobilenetv3_small_100", 224, 0.875),
    "resnet18": ("resnet18", 224, 0.95),
    "resnet18-288": ("resnet18", 288, 1.0),
}
CASES = {
    "one": ("lite0",),
    "two": ("lite0", "mobilenetv3"),
    "four": tuple(ENTRIES),
}
BEST = ("-b", "32", "--channels-last")
HEAP = {"MALLOC_TOP_PAD_": "268435456"}
_PR_SET_CHILD_SUBREAPER = 36
# (seconds by the clock, seconds of all cores together)
Spent = tuple[float, float]
# bulk_runner.py gives every model the same arguments, and each has weights of its own.
WRAPPER = """
import runpy, sys
model = sys.argv[sys.argv.index("--model") + 1]
sys.argv += ["--checkpoint", {weights!r} + "/" + model + ".pth"]
sys.argv[0] = {script!r}
runpy.run_path({script!r}, run_name="__main__")
"""


def save_weights(folder: str) -> None:
    """Write a checkpoint for each network: Lite0's own weights, random ones of the others."""
    for name in {name for name, _, _ in ENTRIES.values()}:
        if name == "tf_efficientnet_lite0":
            entry = next(e for e in load("sample").entries if e.name == "efficientnet_lite0")
            network = build.trained_network(entry, build.find_weights(entry))
        else:
            import timm

            network = timm.create_model(name)
        torch.save(network.state_dict(), Path(folder, f"{name}.pth"))


def write_manifest(folder: Path) -> Path:
    """Write the manifest of the four rows, with timm's preprocessing of their weights."""
    lines = ["schema = 1"]
    for name, (network, crop, ratio) in ENTRIES.items():
        resize = int(crop / ratio)
        lines += [
            "[[entry]]",
            f'name = "{name}"\nsource = "checkpoint"',
            f'library = "timm"\narchitecture = "{network}"',
            f'[entry.weights]\nfile = "{network}.pth"',
            f"[entry.preprocess]\nresize_px = {resize}\ncrop_px = {crop}",
            'interpolation = "bicubic"',
            "mean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]",
        ]
    path = folder / "peers.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def link_images(data: Path, count: int, target: Path) -> Path:
    """Link so many images, spread over the classes."""
    dataset = open_dataset(str(data), labels="imagenet", limit=count)
    for image in dataset.images:
        link = target / "data" / image
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to((dataset.root / image).resolve())
    return target / "data"


class Commands:
    """The commands to be compared, in one scratch folder."""

    def __init__(self, scripts: Path, data: Path, scratch: Path) -> None:
        self.data = data
        self.scratch = scratch
        self.scripts = scripts.resolve()
        self.manifest = write_manifest(scratch)
        in_worker(save_weights, str(scratch))
        wrapper = WRAPPER.format(weights=str(scratch), script=str(self.scripts / "validate.py"))
        (scratch / "validate_each.py").write_text(wrapper)
        models = dict.fromkeys(network for network, _, _ in ENTRIES.values())
        (scratch / "four.txt").write_text("\n".join(models))
        (scratch / "two.txt").write_text("\n".join(list(models)[:2]))

    def peer(self, case: str, *flags: str, **environment: str) -> Spent:
        """Return the seconds of timm's script for a case."""
        flags = ("--data-dir", str(self.data), "--device", "cpu", *flags)
        if case == "one":
            weights = ("--model", ENTRIES["lite0"][0], "--checkpoint")
            checkpoint = str(self.scratch / "tf_efficientnet_lite0.pth")
            command = ["validate.py", *weights, checkpoint, "--img-size", "224", *flags]
        else:
            models = ("--model-list", str(self.scratch / f"{case}.txt"))
            wrapper = str(self.scratch / "validate_each.py")
            command = ["bulk_runner.py", *models, wrapper, *flags]
        return self._seconds([str(self.scripts / command[0]), *command[1:]], environment)

    def ours(self, case: str, store: str) -> Spent:
        """Return the seconds of ``zoobench run`` for a case, on the cache as it is."""
        code = "from bench.cli.main import main; main()"
        options = ("--figures", "top1", "--store", str(self.scratch / store))
        where = ("--manifest", str(self.manifest), "--data", str(self.data))
        return self._seconds(["-c", code, "run", *CASES[case], *where, *options], {})

    def clear(self) -> None:
        """Forget decoded pixels and results."""
        for name in ("cache", "fresh", "again"):
            shutil.rmtree(self.scratch / name, ignore_errors=True)

    def passes(self, store: str) -> dict[str, dict[str, float]]:
        """Return each row's timed pass."""
        found = {}
        for path in (self.scratch / store).glob("*/*/record.json"):
            record = json.loads(path.read_text())
            found[record["key"]["entry"]] = record["evidence"]["end_to_end"]
        return found

    def _seconds(self, words: Sequence[str], environment: dict[str, str]) -> Spent:
        start, cpu = time.perf_counter(), _cpu_seconds()
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.scratch,
            env={**os.environ, "XDG_CACHE_HOME": str(self.scratch / "cache"), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - start
        if done.returncode or "models had errors" in done.stdout:
            sys.exit(f"{words[:2]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        _reap()
        spent = seconds, _cpu_seconds() - cpu
        print(f"{Path(words[0]).name} {spent[0]:.1f} s, cpu {spent[1]:.1f} s", flush=True)
        return spent


def _cpu_seconds() -> float:
    """Return the cores' seconds of all processes that have ended below this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def adopt_orphans() -> None:
    """Become the parent of processes that outlive their own, like a fork server (Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reap() -> None:
    """Wait for adopted processes to end, so that their seconds count."""
    own = multiprocessing.forkserver._forkserver._forkserver_pid
    until = time.monotonic() + 10
    while time.monotonic() < until:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        others = [int(pid) for pid in children if int(pid) != own]
        if not [pid for pid in others if os.waitpid(pid, os.WNOHANG)[0] == 0]:
            return
        time.sleep(0.05)


def stage_rates(data: str, manifest: str, out: str) -> None:
    """Write images/s of decode alone and of each model alone, each with all cores, as JSON."""
    entries = {entry.name: entry for entry in load(manifest).entries}
    dataset = open_dataset(data, labels="imagenet")
    rates: dict[str, float] = {}
    for name, entry in entries.items():
        preprocess = build.preprocess(entry)
        network = build.trained_network(entry, build.find_weights(entry))
        execution = Execution(network, Settings(), "cpu")
        loader = FileLoader(dataset, preprocess, open_decoder("pillow"))
        rates[name] = _on_all_cores(_forward(execution, preprocess))
        if name == "lite0":
            rates["decode"] = _on_all_cores(_decode(loader))
    Path(out).write_text(json.dumps(rates))


def _forward(execution: Execution, preprocess: Preprocess) -> Callable[[int], int]:
    # Noise, because a batch of zeros runs a few percent faster.
    batch = execution.noise(FORWARD_BATCH["cpu"], preprocess)

    def step(number: int) -> int:
        torch.set_num_threads(1)
        execution.forward(batch)
        return len(batch)

    return step


def _decode(loader: FileLoader) -> Callable[[int], int]:
    places = FORWARD_BATCH["cpu"]

    def step(number: int) -> int:
        first = number * places % (len(loader.dataset) - places)
        pixels = np.empty((places, *loader.preprocess.crop_px, 3), np.uint8)
        loader.load(range(first, first + places), pixels, StageTimer())
        return places

    return step


def _on_all_cores(step: Callable[[int], int], seconds: float = 3.0) -> float:
    """Return images/s of a step that a thread a core repeats."""
    from concurrent.futures import ThreadPoolExecutor

    cores = conditions.cores()

    def work(core: int) -> int:
        done, number = 0, core
        while time.perf_counter() < until:
            done += step(number)
            number += cores
        return done

    until = time.perf_counter() + 0.5
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(work, range(cores)))  # the first calls
        start = time.perf_counter()
        until = start + seconds
        images = sum(pool.map(work, range(cores)))
    return images / (time.perf_counter() - start)


def round_of(case: str, commands: Commands) -> dict[str, float]:
    """Return the seconds of every command of a case, and the rates of its stages."""
    commands.clear()
    spent = {
        "peer": commands.peer(case),
        "peer best": commands.peer(case, *BEST, **HEAP),
        "ours": commands.ours(case, "fresh"),
        "ours cached": commands.ours(case, "again"),
    }
    found = {name: seconds for name, (seconds, _) in spent.items()}
    found |= {f"{name} cpu": seconds for name, (_, seconds) in spent.items()}
    rates_file = commands.scratch / "rates.json"
    in_worker(stage_rates, str(commands.data), str(commands.manifest), str(rates_file))
    rates = json.loads(rates_file.read_text())
    fresh, again = commands.passes("fresh"), commands.passes("again")
    first = fresh[CASES[case][0]]
    images, decode = first["images"], rates["decode"]
    models_s = sum(images / rates[name] for name in CASES[case])
    found["stages"] = images / decode + models_s
    found["passes"] = sum(timed["seconds"] for timed in fresh.values())
    found["cached / models"] = models_s / sum(timed["seconds"] for timed in again.values())
    rate, model = images / first["seconds"], rates[CASES[case][0]]
    found["decode/s"], found["model/s"], found["end to end/s"] = decode, model, rate
    return found


def show(case: str, images: int, rounds: list[dict[str, float]]) -> None:
    """Print the seconds and the ratios of a case: medians over its rounds."""
    of = {name: median(one[name] for one in rounds) for name in rounds[0]}
    ratio = {
        **{
            f"x {peer}{unit}": median(one[f"{peer}{unit}"] / one[f"ours{unit}"] for one in rounds)
            for peer in ("peer", "peer best")
            for unit in ("", " cpu")
        },
        "passes / (one decode + forwards)": median(one["passes"] / one["stages"] for one in rounds),
    }
    print(f"{case}: {images} images, {len(rounds)} round(s)")
    for name, value in {**of, **ratio}.items():
        print(f"  {name:34} {value:9.2f}")
    shared = 1 / (1 / of["decode/s"] + 1 / of["model/s"])
    slower = min(of["decode/s"], of["model/s"])
    print(f"  {'of the shared bound':34} {of['end to end/s'] / shared:9.2f}")
    print(f"  {'of the slower stage':34} {of['end to end/s'] / slower:9.2f}", flush=True)


def main() -> None:
    """Measure the cases that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scripts", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="zoobench-peers-") as scratch:
        data = link_images(options.data, options.images, Path(scratch))
        commands = Commands(options.scripts, data, Path(scratch))
        for case in options.cases:
            rounds = [round_of(case, commands) for _ in range(options.rounds)]
            show(case, options.images, rounds)


if __name__ == "__main__":
    main()
