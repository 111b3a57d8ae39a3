"""The fork server: what a command that ends early sees of it."""

import os
import signal
import subprocess
import sys

import pytest

# Ends when its input does, and upon Ctrl-C.
COMMAND = """
import signal, sys
from bench import fork_server

signal.signal(signal.SIGINT, lambda *_: sys.exit())
fork_server.start()
sys.stdin.read()
"""


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_server_whose_command_ends_early_stops_importing_and_says_nothing(
    interrupted: bool,
) -> None:
    # Whoever reads the command's output would wait for it: the server holds the same pipe.
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND],
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as command:
        assert command.stdin
        assert command.stderr
        lines = iter(command.stderr.readline, b"")
        assert any(line.endswith(b" numpy\n") for line in lines)  # only the server imports it
        if interrupted:
            os.killpg(command.pid, signal.SIGINT)
        else:
            command.stdin.close()
        rest = list(lines)
    imported = {line.split(b"|")[-1].strip() for line in rest}
    assert b"bench.measure.throughput" not in imported
    assert all(line.startswith(b"import time:") for line in rest)


KILLED = """
from bench import fork_server

LOCKED = '''
import multiprocessing, os, signal
lock = multiprocessing.get_context("spawn").Lock()
os.kill(os.getpid(), signal.SIGKILL)
'''
worker = fork_server.Fork(exec, LOCKED)
print(worker.join())
"""


def test_a_worker_that_is_killed_leaves_no_warning_of_what_it_could_not_unlink() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, check=False)
    assert done.stdout == b"-9\n"
    assert done.stderr == b""
