"""How often ``zoobench ab`` errs: untouched pairs and planted slow-downs, judged by real runs.

Run it with ``.venv/bin/python -m tests.perf.calibrate --runs 20``: it appends each run's pairs to
``tests/perf/calibration.json`` and writes the table of all of them into ``docs/ab.md``.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from bench.ab.compare import compare
from bench.ab.sides import commit_of
from bench.executors.local import ask
from bench.records import ComparedRow, Comparison, Side
from bench.stats import Judgement, judge
from bench.store import Store
from bench.worker import redirect_output
from tests.perf.planted import BLOCKS, PLANTED, ROOT, make_repository, network
from zoo.manifest import load

RAW = Path(__file__).with_name("calibration.json")
DOCS = ROOT / "docs" / "ab.md"
_BEGIN, _END = "<!-- calibration -->\n", "<!-- /calibration -->\n"
THRESHOLD = 0.05
BUDGET_S = 60
BATCH = 1


@contextmanager
def loaded(spinners: int) -> Iterator[None]:
    """Keep a number of cores busy with processes that do nothing else."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(spinners)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def run_once(
    manifest: Path, percent: int, *, budget_s: float = BUDGET_S
) -> list[tuple[int, dict[str, Any]]]:
    """Compare, as the command does, the revision without with that of more work.

    Returns:
        (percent of more work, row): 0 for the untouched network, and the planted one's.
    """
    repository = manifest.parent
    a, b = (
        Side(
            settings={},
            python=sys.executable,
            revision=tag,
            commit=commit_of("--rev", repository, tag),
        )
        for tag in ("p0", f"p{percent}")
    )
    now = datetime.now(UTC)
    plan = Comparison(
        started_at=now.isoformat(timespec="seconds"),
        threshold=THRESHOLD,
        budget_s=budget_s,
        seed=now.microsecond,
        a=a,
        b=b,
    )
    with tempfile.TemporaryDirectory() as store:
        done, _ = compare(
            load(str(manifest)).entries,
            plan,
            repository=repository,
            batch_size=BATCH,
            store=Store(store),
            listen=lambda *_: None,
        )
    untouched, planted = (_kept(row, plan.started_at) for row in done.rows)
    return [(0, untouched), (percent, planted)]


def _kept(row: ComparedRow, started_at: str) -> dict[str, Any]:
    if row.a is None:
        raise SystemExit(f"{row.entry}: {row.reason}")
    conditions = row.a["conditions"]
    return {
        "started_at": started_at,
        "pairs": [
            {
                "first": pair.first,
                "open_s": round(pair.open_s or 0, 3),
                "log_ratios": [round(one.log_ratio, 5) for one in pair.rounds],
            }
            for pair in row.pairs
        ],
        "row_s": round(row.seconds, 2),
        "threads": row.threads,
        "load_average": conditions["load_average_1min"],
        "processor": conditions["processor"],
    }


def judged(run: dict[str, Any]) -> Judgement:
    """Return what a run's pairs say."""
    return judge([median(pair["log_ratios"]) for pair in run["pairs"]], THRESHOLD)


def planted_sizes(rounds: int, log: str, pipe: Any) -> None:
    """Send (percent, ratio), measured by single steps in turns within one process."""
    import torch

    redirect_output(log)
    torch.set_num_threads(1)
    percents = (0, *PLANTED)
    networks = {percent: network(BLOCKS * (100 + percent) // 100).eval() for percent in percents}
    batch = torch.zeros(BATCH, 3, 32, 32)
    steps_s: dict[int, list[float]] = {percent: [] for percent in percents}
    random = np.random.default_rng(0)
    with torch.inference_mode():
        for _ in range(rounds + 5):
            for percent in random.permutation(percents):
                start = perf_counter()
                networks[percent](batch)
                steps_s[percent].append(perf_counter() - start)
    base = np.array(steps_s[0][5:])
    for percent in PLANTED:
        pipe.send((percent, float(np.median(np.array(steps_s[percent][5:]) / base))))
    pipe.send(None)


def table(document: dict[str, Any]) -> str:
    """Return the Markdown of all runs: a line a machine's state and planted slow-down."""
    lines = [
        "| machine | load | planted | runs | same | slower | faster | ambiguous | b/a | pairs "
        "| s per row |",
        "|:---|---:|:---|---:|---:|---:|---:|---:|:---|---:|---:|",
    ]
    states = dict.fromkeys(run["state"] for run in document["runs"])
    for state in states:
        for percent in (0, *PLANTED):
            runs = [
                run
                for run in document["runs"]
                if run["state"] == state and run["percent"] == percent
            ]
            if runs:
                lines.append(_line(state, percent, runs, document["sizes"]))
    return "\n".join(lines) + "\n"


def _line(state: str, percent: int, runs: list[dict[str, Any]], sizes: dict[str, float]) -> str:
    found = [judged(run) for run in runs]
    verdicts = Counter(one.verdict for one in found)
    ratios = [one.ratio for one in found]
    size = sizes.get(str(percent))
    planted = "none" if size is None else f"{percent} % (measured {100 * (size - 1):.1f} %)"
    seconds = [run["row_s"] for run in runs]
    cells = (
        state,
        f"{median(run['load_average'] for run in runs):.1f}",
        planted,
        str(len(runs)),
        *(str(verdicts[name]) for name in ("same", "slower", "faster", "ambiguous")),
        f"{median(ratios):.3f} [{min(ratios):.3f}, {max(ratios):.3f}]",
        f"{median(len(run['pairs']) for run in runs):.0f}",
        f"{median(seconds):.0f} (most {max(seconds):.0f})",
    )
    return "| " + " | ".join(cells) + " |"


def write_table(document: dict[str, Any]) -> None:
    """Put the table into the documentation, between its marks."""
    text = DOCS.read_text()
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    DOCS.write_text(f"{before}{_BEGIN}{table(document)}{_END}{after}")


def main() -> None:
    """Run what was asked for, keep every run as it is done, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs of each planted slow-down")
    parser.add_argument("--spinners", type=int, default=0, help="cores to keep busy meanwhile")
    parser.add_argument("--state", default="quiet", help="what to call the machine's state")
    parser.add_argument("--percent", type=int, nargs="*", default=PLANTED)
    words = parser.parse_args()
    document = json.loads(RAW.read_text()) if RAW.is_file() else {"sizes": {}, "runs": []}
    with tempfile.TemporaryDirectory() as folder, loaded(words.spinners):
        manifest = make_repository(Path(folder))
        if not document["sizes"]:
            document["sizes"] = {str(p): ratio for p, ratio in ask(planted_sizes, 400)}
        for _ in range(words.runs):
            for planted in words.percent:
                for percent, row in run_once(manifest, planted):
                    document["runs"].append({"state": words.state, "percent": percent, **row})
                    _report(document["runs"][-1])
                RAW.write_text(json.dumps(document) + "\n")
    print(table(document))
    write_table(document)


def _report(run: dict[str, Any]) -> None:
    found = judged(run)
    print(
        f"{run['state']}, {run['percent']} %: {found.verdict} {found.ratio:.3f}, "
        f"{len(run['pairs'])} pairs, {run['row_s']} s, load {run['load_average']:.1f}",
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    main()
