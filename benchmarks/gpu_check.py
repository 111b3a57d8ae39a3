"""Does zoobench measure right on this GPU? Every section is a process; the evidence is kept.

    python benchmarks/gpu_check.py --out OUT --photos FOLDER     about 8 minutes on one GPU
    python benchmarks/gpu_check.py --only ab,memory --budget 180
    python benchmarks/gpu_check.py --smoke                       a minute on a CPU: does it work?

``OUT/results.jsonl`` has a line for each thing that was measured, ``OUT/table.md`` the same as a
short text, ``OUT/cli.log`` what the commands printed. ``--photos`` is a folder of class folders
named by WordNet ids; without it the 20 photographs of the sample are used.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT))

NETWORKS = (
    "resnet50",
    "swin_tiny_patch4_window7_224",
    "convnext_tiny",
    "focalnet_tiny_srf",
    "efficientnet_b0",
    "vit_base_patch16_224",
)
# (precision, batch) of throughput cells; the first of these networks gets them all.
CELLS = (("amp", 256), ("amp", 32), ("amp", 1), ("tf32", 256), ("fp32", 256))
# Steps of the loop that other harnesses run: warm-up, then timed, a wait after each.
LOOP = (10, 40)
# Rows of the published tables that the check has time for.
TABLE_ROWS = (
    "resnet50.tv_in1k",
    "deit_small_patch16_224.fb_in1k",
    "swin_tiny*ms_in1k",
    "focalnet_tiny_srf*",
    "convnext_tiny.fb_in1k",
    "poolformer_m36*",
)
SETTINGS: dict[str, dict[str, Any]] = {
    "cpu": {"device": "cpu"},
    "fp32": {},
    "fp32 again": {},
    "fp32, batch 8": {"batch_size": 8},
    "tf32": {"precision": "tf32"},
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "amp": {"precision": "amp"},
    "fp32, channels_last": {"memory_format": "channels_last"},
}


@dataclass(frozen=True)
class Check:
    """What a section is given: where it runs, and where its evidence goes."""

    device: str
    out: Path
    photos: str
    smoke: bool

    @property
    def data(self) -> str:
        """Return the photographs, as ``--data`` takes them."""
        return self.photos or "sample"

    def put(self, section: str, **row: object) -> None:
        """Append a line of evidence, and print it."""
        line = json.dumps({"section": section, **row}, default=str)
        with (self.out / "results.jsonl").open("a") as results:
            results.write(line + "\n")
        print(line[:500], flush=True)

    def zoobench(self, *words: str, limit_s: float = 120) -> tuple[int, float, str]:
        """Run the command; return its exit code, its seconds and what it printed."""
        command = [sys.executable, "-c", "from bench.cli.main import main; main()", *words]
        start = time.monotonic()
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=limit_s, check=False, cwd=ROOT
            )
            code, printed = done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired as late:
            code, printed = 124, f"{late.stdout!s}{late.stderr!s}"[-2000:]
        with (self.out / "cli.log").open("a") as log:
            log.write(f"\n$ zoobench {' '.join(words)}   # exit {code}\n{printed}\n")
        return code, round(time.monotonic() - start, 1), printed

    def row(self, entry: Any, **settings: Any) -> Any:
        """Return a row of an entry on the device."""
        from bench import conditions
        from bench.measure import Row
        from bench.plan import Job, Settings

        asked = {"device": self.device, **settings}
        if self.smoke and asked["device"] == "cpu":
            asked = {**asked, "batch_size": min(2, int(asked.get("batch_size") or 2))}
        job = Job(
            entry=entry,
            figures=("speed",),
            settings=Settings.model_validate(asked),
            store="unused",
            data=self.data,
            labels="imagenet",
            limit=4 if self.smoke else None,
            retry_failed=False,
            cache_bytes=0,
            alone=False,
            target_rse=None,
        )
        device = conditions.resolve_device(job.settings.device)
        return Row(job, device, conditions.device_name(device), lambda *_: None)


def _entry(name: str) -> Any:
    from zoo.entry import Entry

    return Entry(name=name, source="timm", architecture=name)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"[:300]


def card(check: Check) -> None:
    """What the device is, and the peaks that efficiency is measured against."""
    import torch

    from bench import conditions
    from bench.measure.execution import Execution
    from bench.measure.matmul_peak import matmul_peak_tflops
    from bench.plan import Settings

    check.put("conditions", **conditions.collect(check.device))
    if check.device == "cpu":
        return
    for precision in ("fp32", "tf32", "amp", "bf16"):
        settings = Settings(device=check.device, precision=precision)  # type: ignore[arg-type]
        execution = Execution(torch.nn.Identity(), settings, check.device)
        check.put("peak", precision=precision, tflops=round(matmul_peak_tflops(execution), 1))


def everything(check: Check) -> None:
    """Every metric of one network, by the command."""
    figures = "params,gmacs,crosscheck,top1,speed,memory,latency,train"
    small = ("--batch", "2", "--limit", "4") if check.smoke else ()
    data = ("--data", check.photos) if check.photos else ()
    store = tempfile.mkdtemp(prefix="zoobench-")
    words = ("run", "efficientnet_lite0", "--cache-size", "0", "--figures", figures)
    code, seconds, printed = check.zoobench(
        *(*words, *small, *data, "--device", check.device, "--store", store), limit_s=100
    )
    check.put("command", exit=code, s=seconds, printed=printed[-800:] if code else "")


def flips(check: Check) -> None:
    """Predictions under each setting next to those of fp32 on the CPU."""
    import io

    import numpy as np
    import pyarrow.parquet as pq

    from bench.measure import accuracy
    from zoo.manifest import load

    entry = next(e for e in load("sample").entries if e.name == "efficientnet_lite0")
    seen: dict[str, Any] = {}
    for name, settings in SETTINGS.items():
        if check.device == "cpu" and name not in ("cpu", "fp32", "bf16"):
            continue
        start = time.monotonic()
        try:
            result = accuracy.run(check.row(entry, **settings))
        except Exception as error:
            check.put("flips", setting=name, error=_first_line(error))
            continue
        table = pq.read_table(io.BytesIO(result.predictions or b""))
        seen[name] = np.array(table["pred"]), np.array(table["prob"], np.float64)
        pred, prob = seen[name]
        row = {"setting": name, "images": len(pred), "s": round(time.monotonic() - start, 1)}
        row["flips"] = int((pred != seen["cpu"][0]).sum())
        row["largest_difference"] = float(abs(prob - seen["cpu"][1]).max())
        if name.startswith("fp32 ") or name.startswith("fp32,"):
            row["equal_bits_to_fp32"] = bool((prob == seen["fp32"][1]).all())
        check.put("flips", **row)


def throughput(check: Check) -> None:
    """images/s of networks next to the loop of other harnesses in the same process."""
    from bench.measure import throughput as measurement

    for name in NETWORKS[: 1 if check.smoke else None]:
        entry = _entry("resnet18" if check.smoke else name)
        for precision, batch in _cells(name, check):
            row = check.row(entry, precision=precision, batch_size=batch)
            try:
                result = measurement.run(row)
                loop = _loop_images_per_s(row)
            except Exception as error:
                check.put(
                    "throughput", network=name, precision=precision, batch=batch,
                    error=_first_line(error),
                )  # fmt: skip
                continue
            check.put("throughput", network=name, precision=precision, batch=batch,
                      loop_images_per_s=loop, **_summary(row, result))  # fmt: skip


def _cells(name: str, check: Check) -> tuple[tuple[str, int], ...]:
    if check.smoke:
        return (("fp32", 2),)
    return CELLS if name == NETWORKS[0] else CELLS[:3] if name in NETWORKS[1:2] else CELLS[:1]


def _summary(row: Any, result: Any) -> dict[str, object]:
    import numpy as np

    from bench.measure.complexity import count_macs, on_meta

    evidence, steps = result.evidence, np.array(result.evidence.steps_s)
    rate = evidence.batch_size / float(np.median(steps))
    macs = count_macs(on_meta(row.entry), (1, *row.preprocess.input_shape)).macs
    peak = result.conditions.get("matmul_peak_tflops")
    quarter = max(1, len(steps) // 4)
    found = {
        "images_per_s": round(rate, 1),
        "gmacs": round(macs / 1e9, 3),
        "mfu": round(2 * macs * rate / peak / 1e12, 4) if peak else None,
        "wall_over_steps": round(evidence.wall_s / steps.sum(), 4),
        "iqr": round(float(np.subtract(*np.percentile(steps, [75, 25])) / np.median(steps)), 4),
        "drift": round(float(np.median(steps[-quarter:]) / np.median(steps[:quarter])), 4),
        "steps": len(steps),
        "first_call_s": round(evidence.first_call_s, 2),
        "peak_mb": (evidence.peak_memory_bytes or 0) >> 20,
        "first_call_peak_mb": (evidence.first_call_peak_memory_bytes or 0) >> 20,
    }
    if evidence.launch_s:
        found["launch_share"] = round(float(np.median(evidence.launch_s) / np.median(steps)), 3)
    if evidence.compilation:
        found["compilation"] = evidence.compilation.model_dump()
    if evidence.gpu:
        samples = evidence.gpu.samples
        found |= {
            "joule_per_image": round((evidence.gpu.energy_j or 0) / len(steps) / row.batch_size, 4),
            "watts": [sample.power_w for sample in samples][-3:],
            "sm_mhz": [sample.sm_mhz for sample in samples][-3:],
            "gpu_note": evidence.gpu.note,
        }
    return found


def _loop_images_per_s(row: Any) -> float:
    """Return images/s of a fixed loop that waits after each step, by the wall clock."""
    from bench.measure.execution import Execution
    from zoo import build

    execution = Execution(build.random_network(row.entry), row.job.settings, row.device)
    batch = execution.noise(row.batch_size, row.preprocess)
    warm_up, timed = LOOP
    for step in range(warm_up + timed):
        if step == warm_up:
            start = time.perf_counter()
        execution.forward(batch)
        execution.synchronize()
    return round(timed * row.batch_size / (time.perf_counter() - start), 1)


def latency(check: Check) -> None:
    """p50, p90 and p99 of single requests, eagerly and by CUDA graphs."""
    import numpy as np

    from bench.measure import latency as measurement

    modes = ("eager",) if check.smoke else ("eager", "inductor:reduce-overhead")
    for name in ("resnet18",) if check.smoke else NETWORKS[:1]:
        for mode in modes:
            row = check.row(_entry(name), precision="amp", compile=mode)
            start = time.monotonic()
            try:
                evidence = measurement.run(row).evidence
            except Exception as error:
                check.put("latency", network=name, compile=mode, error=_first_line(error))
                continue
            percentiles = np.percentile(evidence.steps_s, [50, 90, 99])
            compiled = evidence.compilation and evidence.compilation.model_dump()
            check.put(
                "latency",
                network=name,
                compile=mode,
                p50_p90_p99_ms=[round(1e3 * seconds, 3) for seconds in percentiles],
                requests=len(evidence.steps_s),
                s=round(time.monotonic() - start, 1),
                compilation=compiled,
            )


def end_to_end(check: Check) -> None:
    """From files to predictions, next to decoding alone and to the network alone."""
    from bench.data.decoders import open_decoder
    from bench.measure.accuracy import evaluation
    from bench.measure.evaluation import FORWARD_BATCH, timed_repeats
    from bench.measure.execution import Execution
    from bench.measure.pixels import FileLoader, Source
    from zoo import build

    entry = _entry("resnet18" if check.smoke else "resnet50")
    row = check.row(entry, precision="amp")
    places = FORWARD_BATCH["cpu" if row.device == "cpu" else "cuda"]
    execution = Execution(build.random_network(entry), row.job.settings, row.device)
    one = evaluation(execution, row.preprocess, row.dataset, places)
    one.warm_up()
    images = one.steady_images if check.smoke else 4 * one.steady_images
    model = _loop_images_per_s(check.row(entry, precision="amp", batch_size=places))
    for name in ("pillow", "torchvision"):
        loader = FileLoader(row.dataset, row.preprocess, open_decoder(name))
        decode = _decode_images_per_s(loader, row, places, images)
        timed = timed_repeats(one, Source(loader), images)
        rate = timed.images / timed.seconds
        check.put(
            "end_to_end", decoder=name, decode_alone=round(decode, 1), model_alone=round(model, 1),
            end_to_end=round(rate, 1), of_the_slower=round(rate / min(decode, model), 3),
            images=images, processes=timed.lanes, stages=timed.stages.model_dump(),
        )  # fmt: skip


def _decode_images_per_s(loader: Any, row: Any, places: int, images: int) -> float:
    """Return images/s of the decoding processes when nothing takes their pixels."""
    import itertools

    from bench.conditions import cores
    from bench.measure.decode_pool import DecodePool
    from bench.measure.stage_timer import StageTimer

    order = list(itertools.islice(itertools.cycle(range(len(row.dataset))), images))
    shape = (*row.preprocess.crop_px, row.preprocess.input_channels)
    with DecodePool(loader, shape, places, cores()) as pool:
        start = time.perf_counter()
        for batch in pool.batches(order, StageTimer()):
            pool.release(batch)
        return images / (time.perf_counter() - start)


def memory(check: Check) -> None:
    """A batch that cannot fit is named; ``--batch auto`` ends soon, and its batch then runs."""
    from bench.measure import batch as search
    from bench.measure import throughput as measurement

    if check.device == "cpu":
        return
    start = time.monotonic()
    try:
        measurement.run(check.row(_entry("resnet50"), precision="amp", batch_size=100_000))
        check.put("memory", batch=100_000, reason=None)
    except Exception as error:
        seconds = round(time.monotonic() - start, 1)
        check.put("memory", batch=100_000, reason=_first_line(error), s=seconds)
    for name in ("resnet50", "swin_tiny_patch4_window7_224"):
        start = time.monotonic()
        found: dict[str, Any] = {"network": name}
        try:
            batch = search.find(check.row(_entry(name), precision="amp", batch_size="auto"))
            found |= {"auto": batch.size, "note": batch.note, "search_s": _seconds_since(start)}
            row = check.row(_entry(name), precision="amp", batch_size=batch.size)
            found |= {"total_s": _seconds_since(start), **_summary(row, measurement.run(row))}
        except Exception as error:
            found["error"] = _first_line(error)
        check.put("memory", **found)


def _seconds_since(start: float) -> float:
    return round(time.monotonic() - start, 1)


def compare(check: Check) -> None:
    """Equal sides, and a planted slow-down of 5 % next to a network that no side touches."""
    same = f"device={check.device},precision=amp"
    budget = "2" if check.smoke else "45"
    store = tempfile.mkdtemp(prefix="zoobench-")
    if not check.smoke:
        words = ("ab", "resnet50.tv_in1k", "--manifest", "sota", "--a", same, "--b", same)
        more = ("--batch", "256", "--budget", budget, "--store", store)
        code, seconds, printed = check.zoobench(*words, *more, limit_s=90)
        check.put("ab", pair="equal sides", exit=code, s=seconds, printed=_verdicts(printed))
    from tests.perf.planted import make_repository

    if shutil.which("git") is None:
        check.put("ab", pair="planted 5 %", error="git is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        manifest = make_repository(Path(folder))
        side = f"device={check.device}"
        revisions = ("--repo", folder, "--a-rev", "p0", "--b-rev", "p5", "--a", side, "--b", side)
        batch = "4" if check.smoke else "256"
        more = ("--batch", batch, "--budget", budget, "--store", store)
        words = ("ab", "--manifest", str(manifest), *revisions, *more)
        code, seconds, printed = check.zoobench(*words, limit_s=120)
    check.put("ab", pair="planted 5 %", exit=code, s=seconds, printed=_verdicts(printed))


def _verdicts(printed: str) -> list[str]:
    return [line.strip() for line in printed.splitlines() if line.strip()][-8:]


def spread(check: Check) -> None:
    """The same by a fresh process: run several times."""
    from bench.measure import throughput as measurement

    cells = (("resnet18", 2),) if check.smoke else (("resnet50", 32), ("efficientnet_b0", 256))
    for name, batch in cells:
        row = check.row(_entry(name), precision="amp", batch_size=batch)
        summary = _summary(row, measurement.run(row))
        check.put("spread", network=name, batch=batch, process=os.getpid(), **summary)


def table(check: Check) -> None:
    """Rows of the published tables by the command, for the seconds that a row takes."""
    if check.smoke:
        return
    store = tempfile.mkdtemp(prefix="zoobench-")
    settings = ("--precision", "amp", "--batch", "128", "--device", check.device)
    words = ("run", *TABLE_ROWS, "--manifest", "sota", "--figures", "speed,gmacs", *settings)
    code, seconds, printed = check.zoobench(*words, "--store", store, limit_s=110)
    check.put("table", exit=code, s=seconds, rows=len(TABLE_ROWS), printed=printed[-1500:])
    code, _, printed = check.zoobench("report", "--store", store, "--table", "focalnet")
    check.put("table", exit=code, report=printed[-4000:])
    report = Path(store) / "report.csv"
    if report.is_file():
        shutil.copy(report, check.out / "table.csv")


SECTIONS: dict[str, Callable[[Check], None]] = {
    "card": card,
    "everything": everything,
    "flips": flips,
    "throughput": throughput,
    "end_to_end": end_to_end,
    "compare": compare,
    "memory": memory,
    "latency": latency,
    "spread": spread,
    "table": table,
}
# In the order of what matters most, with the seconds that each may take: what is late is left out.
PLAN = (
    *(("card", 30), ("everything", 60), ("flips", 60), ("throughput", 110), ("end_to_end", 60)),
    *(("memory", 70), ("compare", 170), ("table", 90)),
    *(("spread", 25), ("spread", 25), ("spread", 25), ("latency", 70)),
)


def run_all(check: Check, only: list[str], budget_s: float) -> None:
    """Run each section in a process of its own, as far as the budget goes."""
    from bench.conditions import worker_environment

    environment = {**os.environ, **worker_environment(), "PYTHONPATH": _python_path()}
    end = time.monotonic() + budget_s
    for name, limit_s in PLAN:
        left_s = end - time.monotonic()
        if only and name not in only:
            continue
        if left_s < 15:
            check.put("late", skipped=name)
            continue
        start = time.monotonic()
        command = [sys.executable, str(HERE), "--section", name, *_arguments(check)]
        try:
            subprocess.run(command, timeout=min(limit_s, left_s), env=environment, check=True)
        except subprocess.TimeoutExpired:
            check.put("late", cut=name, after_s=round(time.monotonic() - start))
        except subprocess.CalledProcessError as died:
            check.put("late", died=name, exit=died.returncode)
        check.put("seconds", of=name, s=round(time.monotonic() - start, 1))


def _python_path() -> str:
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))


def _arguments(check: Check) -> list[str]:
    smoke = ["--smoke"] if check.smoke else []
    return ["--device", check.device, "--out", str(check.out), "--photos", check.photos, *smoke]


def markdown(out: Path) -> Iterator[str]:
    """Yield the lines of the short table."""
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    for section in dict.fromkeys(row["section"] for row in rows):
        found = [row for row in rows if row["section"] == section]
        yield f"\n## {section}\n"
        if section == "conditions":
            yield from (f"- {name}: {value}" for name, value in found[0].items() if value)
            continue
        columns = list(dict.fromkeys(name for row in found for name in row if name != "section"))
        yield f"| {' | '.join(columns)} |"
        yield f"|{'---|' * len(columns)}"
        for row in found:
            cells = (str(row.get(name, "")).replace("|", "/")[:300] for name in columns)
            yield f"| {' | '.join(cell.replace(chr(10), ' ') for cell in cells)} |"


def main() -> None:
    """Run the check as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu-check"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--photos", default="", help="a folder of class folders")
    parser.add_argument("--only", default="", help="sections, by commas")
    parser.add_argument("--budget", type=float, default=470, help="seconds")
    parser.add_argument("--smoke", action="store_true", help="tiny, on a CPU")
    parser.add_argument("--section", choices=SECTIONS, help=argparse.SUPPRESS)
    words = parser.parse_args()
    device = "cpu" if words.smoke else words.device
    check = Check(device, words.out.resolve(), words.photos, words.smoke)
    check.out.mkdir(parents=True, exist_ok=True)
    if words.section:
        SECTIONS[words.section](check)
        return
    (check.out / "results.jsonl").unlink(missing_ok=True)
    run_all(check, [name for name in words.only.split(",") if name], words.budget)
    (check.out / "table.md").write_text("\n".join(markdown(check.out)) + "\n")


if __name__ == "__main__":
    main()
