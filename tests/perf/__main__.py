"""``make perf``: the benchmarks with the workers' allocator, saved, and as ``perf.json``.

More words are pytest's, as in ``python -m tests.perf -k forward``.
"""

import os
import sys

from bench.conditions import worker_environment

os.environ.update(worker_environment())
words = [
    "pytest",
    "tests/perf",
    "--benchmark-enable",
    "--benchmark-only",
    "--benchmark-autosave",
    "--benchmark-json=perf.json",
    "--benchmark-group-by=group",
    "--benchmark-columns=median,iqr,min,max,rounds",
    "--benchmark-sort=name",
    *sys.argv[1:],
]
os.execv(sys.executable, [sys.executable, "-m", *words])  # glibc reads its settings at the start
