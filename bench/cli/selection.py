"""Which entries a command means: a manifest's or a library's, narrowed by patterns."""

from collections.abc import Sequence
from dataclasses import dataclass

from zoo.entry import Entry


@dataclass(frozen=True)
class Selection:
    """Entries, where they come from, and the dataset that their manifest names."""

    entries: tuple[Entry, ...]
    where: str
    data: str | None


def select_entries(
    patterns: Sequence[str] | None, manifest: str, zoo: Sequence[str] | None
) -> Selection:
    """Return the manifest's entries, or those of the libraries that ``zoo`` names.

    Raises:
        ZoobenchError: a manifest is wrong, or a pattern matches nothing.
    """
    from zoo.manifest import load, select

    if zoo:
        from zoo.libraries import library_entries

        entries = tuple(entry for spec in zoo for entry in library_entries(spec))
        return Selection(select(entries, patterns or ()), ", ".join(zoo), None)
    loaded = load(manifest)
    return Selection(select(loaded.entries, patterns or ()), str(loaded.path), loaded.data)
