"""What the fork server imports must leave CUDA alone: a fork of a process that used it cannot."""

import subprocess
import sys

# The server ends by os._exit(0), so what is printed counts, not the exit code.
CODE = """
import torch
asked = []
for name in ("is_available", "device_count", "init", "_lazy_init"):
    def spy(*arguments, name=name, original=getattr(torch.cuda, name)):
        asked.append(name)
        return original(*arguments)
    setattr(torch.cuda, name, spy)
if {poison}:
    torch.cuda.is_available()
import bench.preload
print("asked:", asked, flush=True)
"""


def _asked(*, poison: bool) -> str:
    code = CODE.format(poison=poison)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_importing_what_workers_preload_asks_cuda_nothing() -> None:
    assert "asked: []" in _asked(poison=False)


def test_the_spy_sees_a_question() -> None:
    assert "asked: ['is_available'" in _asked(poison=True)
