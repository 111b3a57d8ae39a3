"""JSON as records and baselines contain it: finite numbers, and integers of at most 64 bits."""

import json
import math
from typing import Any

from pydantic import ValidationError

_INT64 = range(-(2**63), 2**63)
_DIGITS = len(str(_INT64[0]))


def loads(content: bytes) -> Any:
    """Return the parsed content.

    Raises:
        ValueError: not JSON in UTF-8, nested too deeply, or with a number that no measurement
            yields: NaN, infinity (also as ``1e999``), an integer of more than 64 bits; or text
            that is not Unicode.
    """
    try:
        found = json.loads(
            content, parse_constant=_refuse, parse_float=_finite, parse_int=_whole_number
        )
        if b"\\ud" in content.lower():  # half of a character, which no file can contain
            json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return found


def problem(error: ValueError) -> str:
    """Return what is wrong with a content in one line, with the field if the error names one."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        return f"{where}: {reason}" if where else reason
    return (str(error).splitlines() or [type(error).__name__])[0]


def _refuse(text: str) -> float:
    raise ValueError(f"the number {text[:20]}, which no measurement yields")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _whole_number(text: str) -> int:
    if len(text) > _DIGITS or int(text) not in _INT64:
        _refuse(text)
    return int(text)
