"""The command line, called in this process."""

import pytest

from bench.cli.main import main


def call(*words: str) -> int:
    """Return the exit code of ``zoobench WORDS…``."""
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    assert isinstance(caught.value.code, int | None)
    return caught.value.code or 0
