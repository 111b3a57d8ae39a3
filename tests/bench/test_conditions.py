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
    monkeypatch.setattr(conditions, "_CGROUP", tmp_path)
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
