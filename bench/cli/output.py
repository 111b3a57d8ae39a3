"""Where a report goes: to standard output, or to a file."""

import sys
from pathlib import Path


def write(content: bytes, out: Path | None) -> None:
    """Write a report to a file, or to standard output if none is named.

    Raises:
        ReportError: the file cannot be written.
    """
    from zoo.errors import ReportError

    if out is None:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return
    try:
        out.write_bytes(content)
    except OSError as error:
        raise ReportError(
            f"{out}: cannot be written: {error.strerror}; choose another file"
        ) from None
