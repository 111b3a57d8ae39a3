"""What the machine was: told by the system where it tells, and absent where it does not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import conditions


def test_what_a_speed_on_a_processor_depends_on_is_kept() -> None:
    found = conditions.collect("cpu", load_before=0.5)
    assert found["affinity"] == sorted(os.sched_getaffinity(0))
    assert 1 <= found["cores"] <= len(found["affinity"])
    assert found["torch_threads"] >= 1
    assert found["load_average_1min_before"] == 0.5
    assert found["load_average_1min"] >= 0
    assert set(found["threads"]) >= {"OMP_NUM_THREADS", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}
    assert set(found["allocator"]) == set(conditions.ALLOCATOR_ENVIRONMENT)


def test_workers_leave_what_the_user_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*conditions.ALLOCATOR_ENVIRONMENT, "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    assert conditions.worker_environment() == {
        **conditions.ALLOCATOR_ENVIRONMENT,
        "GOMP_SPINCOUNT": "1000",
    }
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")  # a number of turns would override it
    missing = set(conditions.ALLOCATOR_ENVIRONMENT) - {"MALLOC_ARENA_MAX"}
    assert set(conditions.worker_environment()) == missing


def test_governors_are_counted_and_absent_without_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditions, "_CPUS", tmp_path)
    assert conditions.governors() is None
    for core, governor in enumerate(["powersave", "performance", "powersave"]):
        folder = tmp_path / f"cpu{core}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(f"{governor}\n")
    assert conditions.governors() == {"powersave": 2, "performance": 1}


def test_a_containers_limit_bounds_the_memory_that_is_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _be_in_groups(tmp_path, monkeypatch, "0::/\n")
    kernel = conditions.available_memory_bytes()
    assert kernel is not None
    assert kernel > 2**20
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    unbounded = conditions.available_memory_bytes()
    assert unbounded is not None
    assert unbounded > 2**20
    (tmp_path / "memory.max").write_text("1500\n")
    assert conditions.available_memory_bytes() == 500


def _be_in_groups(folder: Path, monkeypatch: pytest.MonkeyPatch, groups: str) -> None:
    (folder / "proc-self-cgroup").write_text(groups)
    monkeypatch.setattr(conditions, "_CGROUP", folder)
    monkeypatch.setattr(conditions, "_PROCESS_GROUPS", folder / "proc-self-cgroup")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


V1 = "4:cpu,cpuacct:/docker/1a\n3:cpuset:/docker/1a\n1:name=systemd:/docker/1a\n"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "max 100000"}, 8),
        ("0::/\n", {"cpu.max": "300000 100000"}, 3),
        ("0::/\n", {"cpu.max": "399999 100000"}, 3),
        ("0::/\n", {"cpu.max": "50000 100000"}, 1),
        ("0::/\n", {"cpu.max": "1600000 100000"}, 8),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "200000 100000", "a/cpu.max": "500000 100000"}, 2),
        ("0::/a\n", {"b/cpu.max": "200000 100000"}, 8),
        # As a container sees version 1: its own group is the root.
        (
            V1,
            {"cpu,cpuacct/cpu.cfs_quota_us": "250000", "cpu,cpuacct/cpu.cfs_period_us": "1000"},
            8,
        ),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "4000", "cpu,cpuacct/cpu.cfs_period_us": "1000"}, 4),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "1000"}, 8),
        (V1, {"cpu.max": "200000 100000"}, 8),
        ("", {"cpu.max": "200000 100000"}, 8),
    ],
)
def test_cores_are_those_of_the_control_groups_quota(
    groups: str,
    files: dict[str, str],
    expected: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    _be_in_groups(tmp_path, monkeypatch, groups)
    for name, text in files.items():
        _write(tmp_path / name, f"{text}\n")
    assert conditions.cores() == expected
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert conditions.cores() == min(2, expected)


def test_the_memory_of_a_group_above_bounds_what_is_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _be_in_groups(tmp_path, monkeypatch, "4:memory:/a/b\n")
    for group, limit, used in (("a/b", "9000", "100"), ("a", "700", "300")):
        _write(tmp_path / "memory" / group / "memory.limit_in_bytes", limit)
        _write(tmp_path / "memory" / group / "memory.usage_in_bytes", used)
    assert conditions.available_memory_bytes() == 400


def test_the_malloc_that_is_called_is_named() -> None:
    assert "libc.so" in (conditions.malloc_library() or "")
    assert "glibc" in (conditions.malloc_library() or "")


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_preloaded_malloc_is_seen(tmp_path: Path) -> None:
    source = tmp_path / "other.c"
    source.write_text(
        "#include <stddef.h>\nextern void *__libc_malloc(size_t);\n"
        "void *malloc(size_t n) { return __libc_malloc(n); }\n"
    )
    library = tmp_path / "libother.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    code = "from bench import conditions; print(conditions.malloc_library())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(library)
