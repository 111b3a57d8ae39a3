"""Comparisons by real processes: of revisions and interpreters, and of sides that break."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import zoo
from bench.ab import worker
from bench.ab.compare import compare
from bench.ab.process import SideProcess
from bench.ab.sides import commit_of
from bench.conditions import cores
from bench.records import ComparedRow, Comparison, Side
from bench.stats import Judgement, judge
from bench.store import Store
from zoo.entry import Entry
from zoo.errors import InterruptedRunError, MeasureError

TINY = Entry(
    name="tiny",
    source="zoobench",
    architecture="lenet5",
    preprocess={
        "resize_px": 32,
        "crop_px": 32,
        "interpolation": "bilinear",
        "mean": [0.5],
        "std": [0.5],
        "channels": "gray",
    },
)


def _request(entry: Entry = TINY, batch_size: int = 2, **settings: str) -> dict[str, Any]:
    return {
        "entry": entry.model_dump(mode="json"),
        "settings": settings,
        "batch_size": batch_size,
    }


@pytest.fixture(scope="module")
def side() -> Iterator[SideProcess]:
    process = SideProcess("b", sys.executable, None)
    process.check()
    yield process
    process.end()


@pytest.fixture
def opened(side: SideProcess) -> Iterator[dict[str, Any]]:
    side.begin_row(_request())
    yield side.opened()
    side.end_row()


def test_a_side_answers_with_the_seconds_of_each_step(
    side: SideProcess, opened: dict[str, Any]
) -> None:
    steps_s = side.turn(3)
    assert len(steps_s) == 3
    assert min(steps_s) > 0
    assert opened["batch_size"] == 2
    assert opened["conditions"]["device"] == "cpu"
    assert opened["conditions"]["allocator"]["MALLOC_TOP_PAD_"] == "268435456"


def test_a_killed_worker_says_so_and_the_side_serves_the_next_row(
    side: SideProcess, opened: dict[str, Any]
) -> None:
    os.kill(opened["pid"], signal.SIGKILL)
    with pytest.raises(MeasureError, match=r"side b: the worker died: killed by SIGKILL"):
        side.turn(1)
    side.begin_row(_request())
    assert side.opened()["pid"] != opened["pid"]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (_request(batch_size=10**10), "side b: out of memory"),
        (_request(precision="tf32"), "side b: precision 'tf32' exists on CUDA devices only"),
        (_request(TINY.model_copy(update={"architecture": "lenet6"})), "did you mean lenet5"),
    ],
)
def test_what_cannot_be_built_says_why(
    side: SideProcess, request_: dict[str, Any], reason: str
) -> None:
    side.begin_row(request_)
    with pytest.raises(MeasureError, match=reason):
        side.opened()
    side.end_row()


def test_what_comes_from_a_folder_is_told_and_nothing_is_an_error(tmp_path: Path) -> None:
    """Else a revision that is not on the way to the network would be compared with itself."""
    assert "bench.ab.worker" in worker._of_revision(str(worker.ROOT))
    assert worker._of_revision(None) == []
    with pytest.raises(MeasureError, match="nothing of the revision was imported"):
        worker._of_revision(str(tmp_path))


def _venv(folder: Path, *, with_packages: bool) -> str:
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, check=True)
    python = folder / "bin" / "python"
    if with_packages:
        inside = next((folder / "lib").glob("python*")) / "site-packages"
        shared = [path for path in sys.path if path.endswith("site-packages")]
        (inside / "shared.pth").write_text("\n".join(shared))
    return str(python)


def test_an_interpreter_without_the_packages_says_which(tmp_path: Path) -> None:
    python = _venv(tmp_path / "empty", with_packages=False)
    process = SideProcess("b", python, None)
    try:
        for _ in range(2):  # each row hears it
            with pytest.raises(MeasureError, match=f"{python} lacks torch .* pip install torch"):
                process.check()
    finally:
        process.end()


def test_a_program_that_is_no_interpreter_is_named() -> None:
    process = SideProcess("b", "/bin/echo", None)
    try:
        with pytest.raises(MeasureError, match=r"/bin/echo answers .* no Python interpreter"):
            process.check()
    finally:
        process.end()


def _addresses(pid: int) -> dict[str, str]:
    """Return where stack, heap and torch lie."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    found: dict[str, str] = {}
    for words in map(str.split, lines):
        if len(words) == 6 and words[5].endswith(("[stack]", "[heap]", "libtorch_cpu.so")):
            found.setdefault(words[5], words[0].partition("-")[0])
    return found


def _can_fix_addresses() -> bool:
    ask = "import ctypes, sys; sys.exit(ctypes.CDLL(None).personality(0x0040000) == -1)"
    return sys.platform == "linux" and subprocess.run([sys.executable, "-c", ask]).returncode == 0


@pytest.mark.skipif(not _can_fix_addresses(), reason="this system keeps addresses random")
def test_equal_sides_lie_at_equal_addresses(tmp_path: Path) -> None:
    """Else one of them is several percent faster for all its life, as measured for docs/ab.md."""
    venv = _venv(tmp_path / "with a longer path", with_packages=True)
    sides = [SideProcess("a", sys.executable, None), SideProcess("b", venv, None)]
    found = []
    try:
        for process in sides:
            process.check()
            process.begin_row(_request())
            told = process.opened()
            assert told["conditions"]["random_addresses"] is False
            found.append(_addresses(told["pid"]))
    finally:
        for process in sides:
            process.end()
    a, b = found
    assert len(a) == 3
    assert a == b


def _plan(a: Side, b: Side, *, budget_s: float = 1) -> Comparison:
    return Comparison(started_at="now", threshold=0.05, budget_s=budget_s, seed=1, a=a, b=b)


def _ignore(entry: str, pairs: int, found: Judgement) -> None:
    pass


def test_rows_are_kept_raw_as_they_are_done_and_no_process_is_left(tmp_path: Path) -> None:
    """Of another interpreter: a row that fails costs itself only, and so does Ctrl-C."""
    before = _children()
    python = _venv(tmp_path / "other", with_packages=True)
    plan = _plan(Side(settings={}, python=sys.executable), Side(settings={}, python=python))
    broken = Entry(
        name="broken",
        source="timm",
        architecture="vit_tiny_patch16_224",
        preprocess={"crop_px": 200, "resize_px": 200},
    )

    def interrupt(entry: str, pairs: int, found: Judgement) -> None:
        if entry == "last":
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match=r"rows that were done are in .*\.json"):
        compare(
            [broken, TINY, TINY.model_copy(update={"name": "last"})],
            plan,
            repository=tmp_path,
            batch_size=2,
            store=Store(str(tmp_path / "store")),
            listen=interrupt,
        )
    kept = next((tmp_path / "store" / "ab").glob("*.json"))
    failed, measured = Comparison.model_validate_json(kept.read_text()).rows
    assert failed.status == "failed"
    for name in "ab":
        assert f"side {name}: entry 'broken': the network is built for 224x224 px" in (
            failed.reason or ""
        )
    assert measured.status == "measured"
    assert len(measured.pairs) >= 1
    assert measured.threads == 1 or measured.threads == cores()
    assert _children() == before


def test_revisions_are_compared_by_the_code_of_each(tmp_path: Path) -> None:
    """The second revision's network cannot be built: only that side fails, and says so.

    Both print while they are built, from Python and from below it, and no print is an answer.
    """
    prints = "import os; print('{}'); os.write(1, b'{}\\n')"
    sides = _revisions(tmp_path / "repository", prints, "raise RuntimeError('of this revision')")
    row = _compared(tmp_path, *sides)
    assert row.reason == "side b: RuntimeError: of this revision"


def test_each_pair_has_processes_of_its_own_and_their_threads_are_chosen_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids, started, threads = [], [], set()
    opened, begin_row, use_threads = (
        SideProcess.opened,
        SideProcess.begin_row,
        SideProcess.use_threads,
    )

    def watch_opened(side: SideProcess) -> dict[str, Any]:
        answer = opened(side)
        pids.append(answer["pid"])
        return answer

    def watch_begin(side: SideProcess, request: dict[str, Any]) -> None:
        started.append(side._name)
        begin_row(side, request)

    def watch_threads(side: SideProcess, count: int) -> None:
        if len(pids) > 2:
            threads.add(count)
        use_threads(side, count)

    monkeypatch.setattr(SideProcess, "opened", watch_opened)
    monkeypatch.setattr(SideProcess, "begin_row", watch_begin)
    monkeypatch.setattr(SideProcess, "use_threads", watch_threads)
    twice = "_once = LeNet5.forward\nLeNet5.forward = lambda s, x: (_once(s, x), _once(s, x))[0]"
    row = _compared(tmp_path, *_revisions(tmp_path / "repository", "", twice), budget_s=30)
    verdict = judge([pair.log_ratio for pair in row.pairs], 0.05).verdict
    assert verdict in ("slower", "ambiguous")  # as busy as the machine is
    assert verdict == "slower" or row.seconds >= 30
    assert len(row.pairs) >= 2
    # Those of the first opening, which is not measured, and two per pair.
    assert len(set(pids)) == len(pids) == 2 + 2 * len(row.pairs)
    assert started[2::2] == [pair.first for pair in row.pairs]
    assert threads == {row.threads}


def test_networks_packages_that_start_cuda_are_refused_before_anything_forks(
    tmp_path: Path,
) -> None:
    """A fork cannot use CUDA that its parent has started; torch's own advice is of no use here."""
    (line,) = ("import torch; torch.cuda.is_initialized = lambda: True",)
    sides = _revisions(tmp_path / "repository", "", "")
    source = tmp_path / "repository" / "zoo" / "__init__.py"
    source.write_text(f"{source.read_text()}\n{line}\n")
    _git(tmp_path / "repository", "add", "--all")
    _git(tmp_path / "repository", "commit", "--quiet", "--message", "starts CUDA")
    commit = commit_of("--b-rev", tmp_path / "repository", "HEAD")
    head = sides[1].model_copy(update={"revision": "HEAD", "commit": commit})
    row = _compared(tmp_path, sides[0], head)
    assert "importing the networks' packages started CUDA, which forks cannot use" in (
        row.reason or ""
    )


def test_a_process_that_a_model_left_behind_does_not_keep_the_command_from_ending(
    tmp_path: Path,
) -> None:
    """It keeps the side's pipes open, in a session that no signal to the side reaches."""
    left = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    open({str(tmp_path / "pid")!r}, "a").write(f"{{os.getpid()}}\\n")
    time.sleep(600)
    os._exit(0)
"""
    sides = _revisions(tmp_path / "repository", "", left)
    try:
        assert _compared(tmp_path, *sides).status == "measured"
        pids = [int(pid) for pid in (tmp_path / "pid").read_text().split()]
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    finally:
        for pid in map(int, (tmp_path / "pid").read_text().split()):
            os.kill(pid, signal.SIGKILL)


def _revisions(repository: Path, *lines: str) -> list[Side]:
    """Return a side for each revision of LeNet-5, which has a line more than the one before."""
    repository.mkdir()
    shutil.copytree(Path(zoo.__file__).parent, repository / "zoo")
    _git(repository, "init", "--quiet")
    file = repository / "zoo" / "architectures" / "lenet.py"
    for number, line in enumerate(lines):
        file.write_text(f"{file.read_text()}\n{line}\n")
        _git(repository, "add", "--all")
        _git(repository, "commit", "--quiet", "--message", f"revision {number}")
        _git(repository, "tag", f"r{number}")
    return [
        Side(
            settings={},
            python=sys.executable,
            revision=f"r{number}",
            commit=commit_of("--a-rev", repository, f"r{number}"),
        )
        for number in range(len(lines))
    ]


def _compared(folder: Path, a: Side, b: Side, *, budget_s: float = 1) -> ComparedRow:
    done, _ = compare(
        [TINY],
        _plan(a, b, budget_s=budget_s),
        repository=folder / "repository",
        batch_size=2,
        store=Store(str(folder / "store")),
        listen=_ignore,
    )
    return done.rows[0]


def _git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def _children() -> list[str]:
    """Return the commands of this process's children that are sides."""
    found = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True
    )
    return [line for line in found.stdout.splitlines() if "bench/ab/worker.py" in line]
