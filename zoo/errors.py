"""The one hierarchy of errors that a user can cause or can mend.

Every message says what is wrong, where, and how to mend it. The command line prints it without a
traceback and exits with ``exit_code``; a worker records it as the reason of the row.
"""

import difflib
from collections.abc import Iterable


def first_line(error: BaseException) -> str:
    """Return what an exception says, in one line; its type's name if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def with_type(error: BaseException) -> str:
    """Return an exception's type and what it says, in one line."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0]}"


class ZoobenchError(Exception):
    """Base of all expected errors; exit code 2 when it reaches the command line."""

    exit_code = 2


class InterruptedRunError(ZoobenchError):
    """The user stopped a run; what is done is kept."""

    exit_code = 130


class ManifestError(ZoobenchError):
    """A manifest cannot be read, or one of its fields is wrong."""


class UnknownNameError(ZoobenchError):
    """A name that has a fixed set of choices is none of them."""

    def __init__(self, kind: str, name: str, choices: Iterable[str], where: str = "") -> None:
        known = sorted(choices)
        near = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
        if near:
            hint = f"did you mean {', '.join(near)}?"
        else:
            more = f" … ({len(known)} in all)" if len(known) > 10 else ""
            hint = f"choices: {', '.join(known[:10]) or 'none'}{more}"
        super().__init__(f"{where}{': ' if where else ''}unknown {kind} {name!r}; {hint}")


class WeightsError(ZoobenchError):
    """Weights cannot be had, are not what the manifest says, or do not fit the network."""


class DataError(ZoobenchError):
    """A dataset cannot be read as asked."""


class StoreError(ZoobenchError):
    """A store cannot be read or written."""


class MeasureError(ZoobenchError):
    """A figure cannot be measured; the row says why."""


class MissingExtraError(ZoobenchError):
    """A feature needs a package that an extra of zoobench installs."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the package {package!r}, which is not installed; "
            f"mend it with: pip install 'zoobench[{extra}]'"
        )


class ClaimsError(ZoobenchError):
    """A file of published figures cannot be read or written, or one of its cells is wrong."""


class ReportError(ZoobenchError):
    """A report, or a baseline that one is made from or compared with, cannot be read or written."""
