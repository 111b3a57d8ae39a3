"""Manifests: TOML files that list the entries of a zoo. Loading one imports no torch."""

import fnmatch
import tomllib
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from zoo.entry import Entry, KeyMap, Model, Preprocess, Weights
from zoo.errors import ManifestError, UnknownNameError

SCHEMA = 1
DEFAULT = "sample"

T = TypeVar("T")


class Manifest(Model):
    """The entries of one file, and the dataset that they are measured on by default."""

    path: Path
    entries: tuple[Entry, ...]
    data: str | None = None


class _Document(Model):
    """The top level of a manifest; entries are validated one by one, so errors name them."""

    schema_version: int = Field(alias="schema")
    data: str | None = None
    key_maps: dict[str, KeyMap] = Field(default_factory=dict)
    entry: list[dict[str, Any]]


def embedded() -> dict[str, Path]:
    """Return the manifests that come with zoobench, by name."""
    folder = Path(str(resources.files("zoo") / "manifests"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load(name_or_file: str) -> Manifest:
    """Load and validate a manifest, given by its embedded name or as a file.

    Raises:
        ManifestError: the file cannot be read, or a field is wrong; names file, entry and field.
        UnknownNameError: neither an embedded manifest nor a file.
    """
    path = embedded().get(name_or_file) or Path(name_or_file)
    if not path.is_file():
        raise UnknownNameError("manifest (no such file either)", name_or_file, embedded())
    document = _read(path)
    entries = tuple(_entry(path, raw, i, document.key_maps) for i, raw in enumerate(document.entry))
    _no_duplicates(path, entries)
    return Manifest(path=path, entries=entries, data=document.data)


def select(entries: Sequence[Entry], patterns: Sequence[str]) -> tuple[Entry, ...]:
    """Return the entries whose name or one of whose tags matches any pattern (``*`` and ``?``).

    Raises:
        UnknownNameError: a pattern matches nothing.
    """
    return select_by(entries, patterns, lambda entry: (entry.name, *entry.tags))


def select_by(
    items: Sequence[T], patterns: Sequence[str], words_of: Callable[[T], Sequence[str]]
) -> tuple[T, ...]:
    """Return the items one of whose words matches any pattern; all of them without a pattern.

    Raises:
        UnknownNameError: a pattern matches nothing.
    """

    def matches(item: T, pattern: str) -> bool:
        return any(fnmatch.fnmatchcase(word, pattern) for word in words_of(item))

    for pattern in patterns:
        if not any(matches(item, pattern) for item in items):
            words = {word for item in items for word in words_of(item)}
            raise UnknownNameError("entry, tag or pattern", pattern, words)
    return tuple(item for item in items if not patterns or any(matches(item, p) for p in patterns))


def _read(path: Path) -> _Document:
    try:
        document = _Document.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read as TOML: {error}") from None
    except ValidationError as error:
        raise ManifestError(_explain(error, str(path))) from None
    if document.schema_version > SCHEMA:
        raise ManifestError(
            f"{path}: schema {document.schema_version} is newer than this zoobench reads "
            f"({SCHEMA}); upgrade zoobench"
        )
    return document


def _entry(path: Path, raw: dict[str, Any], index: int, key_maps: dict[str, KeyMap]) -> Entry:
    where = f"{path}: entry {raw.get('name', f'number {index + 1}')!r}"
    weights = raw.get("weights")
    if isinstance(weights, dict):
        raw = {**raw, "weights": _with_key_map(path, weights, key_maps, where)}
    try:
        return Entry.model_validate(raw)
    except ValidationError as error:
        raise ManifestError(_explain(error, where)) from None


def _with_key_map(
    path: Path, weights: dict[str, Any], key_maps: dict[str, KeyMap], where: str
) -> dict[str, Any]:
    """Replace a key map's name by the map; a checkpoint's file is relative to the manifest."""
    weights = dict(weights)
    name = weights.get("key_map")
    if isinstance(name, str):
        if name not in key_maps:
            raise UnknownNameError("key map", name, key_maps, f"{where}: field 'weights.key_map'")
        weights["key_map"] = key_maps[name]
    if isinstance(weights.get("file"), str) and "package" not in weights:
        weights["file"] = path.parent / Path(weights["file"]).expanduser()
    return weights


def _no_duplicates(path: Path, entries: Sequence[Entry]) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            raise ManifestError(f"{path}: entry {entry.name!r} stands twice; names must be unique")
        seen.add(entry.name)


def _explain(error: ValidationError, where: str) -> str:
    """Turn pydantic's report into one line: file, entry, field, what is wrong, the choices."""
    problems = []
    for item in error.errors():
        field = ".".join(str(part) for part in item["loc"] if not str(part).startswith("function-"))
        given = item.get("input")
        shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) else ""
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message, shown = f"no such field; fields: {', '.join(_siblings(item['loc']))}", ""
        problems.append(f"field '{field}': {message}{shown}" if field else message)
    return f"{where}: " + "; ".join(problems)


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    """Return the fields that would have been right at an error's location."""
    parents: dict[str, type[Model]] = {
        "weights": Weights,
        "key_map": KeyMap,
        "preprocess": Preprocess,
    }
    parent = str(location[-2]) if len(location) > 1 else ""
    return sorted(parents.get(parent, Entry).model_fields)
