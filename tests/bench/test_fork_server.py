"""The fork server: what it costs a command that has no use for it."""

import os
import subprocess
import sys

COMMAND = "import sys; from bench import fork_server; fork_server.start(); sys.stdin.read()"


def test_a_server_whose_command_ends_early_does_not_import_to_the_end() -> None:
    # Whoever reads the command's output would wait for it: the server holds the same pipe.
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND],
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        assert command.stdin
        assert command.stderr
        lines = iter(command.stderr.readline, b"")
        assert any(line.endswith(b" numpy\n") for line in lines)  # only the server imports it
        command.stdin.close()
        imported = {line.split(b"|")[-1].strip() for line in lines}
    assert b"bench.measure.throughput" not in imported
