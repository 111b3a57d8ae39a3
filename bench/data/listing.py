"""What lies at a path, and the images that a layout finds there, before a set gives them labels."""

import difflib
import fnmatch
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from bench.data.files import is_left_out, special_kind
from zoo.errors import DataError

# Returns the encoded image of an id; called by many threads at once.
Reader = Callable[[str], bytes]
# A class as its layout names it (a folder's name), or a label as a number.
Target = str | int

# Of the formats that bench.data.preprocess decodes.
IMAGE_SUFFIXES = frozenset(
    {
        ".apng",
        ".avif",
        ".bmp",
        ".dib",
        ".gif",
        ".j2k",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    }
)


@dataclass(frozen=True)
class Found:
    """What lies at a path: visible names, sorted. A file, or several, has no folders.

    ``tars`` and ``parquets`` are whole paths, of files in the folder or of a pattern's matches;
    ``named`` says that the user named each of them. ``left_out`` are hidden files and folders, and
    those that a system adds.
    """

    path: Path
    folders: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    tars: tuple[Path, ...] = ()
    parquets: tuple[Path, ...] = ()
    others: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    named: bool = False

    def describe(self) -> str:
        """Return what is there, as a few words."""
        parts = [
            _some(self.folders, "folder"),
            _some(self.images, "loose image"),
            _some([path.name for path in self.tars], "tar file"),
            _some([path.name for path in self.parquets], "parquet file"),
            _some(self.others, "other file"),
        ]
        return ", ".join(part for part in parts if part) or "nothing"


@dataclass(frozen=True)
class Listing:
    """The images of a layout in their order, with the classes that the layout gives them.

    ``archives`` are the files that hold the images, where these are no files of their own.
    ``classes`` are the names of all classes where the layout states them, in its order; ``note``
    says what a reader of a figure should know. ``left_out`` names files and folders at the path
    that are not taken for images.
    """

    layout: str
    root: Path
    images: tuple[str, ...]
    targets: tuple[Target, ...]
    sizes: tuple[int, ...]
    reader: Reader
    archives: tuple[Path, ...] = ()
    classes: tuple[str, ...] | None = None
    note: str | None = None
    left_out: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        """Return the names of the classes, where the targets are names."""
        occurring = {target for target in self.targets if isinstance(target, str)}
        return occurring | set(self.classes or ()) if occurring or not self.targets else set()


@dataclass(frozen=True)
class Layout:
    """A way in which images lie: how it is known, what it looks like, and who lists it.

    ``list`` takes what was found, and a labels file if the user named one.
    """

    looks_like: str
    fits: Callable[[Found], bool]
    list: Callable[[Found, Path | None], Listing] = field(repr=False)


def look_at(text: str) -> Found:
    """Return what lies at a path, or at the files of a pattern (``*``, ``{000..012}``).

    Raises:
        DataError: nothing is there, or a file of a pattern is missing.
    """
    path = Path(text).expanduser()
    if "://" in text:
        raise DataError(
            f"{text}: data must be local: copy it to a disk, or mount it, and give its path"
        )
    if path.is_dir():
        return _look_into(path)
    if path.is_file():
        return replace(_sorted_out(path.parent if _is_shard(path) else path, [path]), named=True)
    if "{" in path.name or "*" in path.name:
        return replace(_sorted_out(path.parent, _matches(path)), named="*" not in path.name)
    if path.exists():
        raise DataError(f"{text}: {special_kind(path.stat().st_mode)}, not a data folder or file")
    raise DataError(f"{text}: no such data folder or file{_near(path)}")


def check_whole(paths: Sequence[Path], *, named: bool) -> None:
    """Check that shards are of one set and, unless the user named each, that none is missing.

    Raises:
        DataError: they are not.
    """
    names = [_without_hash(path.name) for path in paths]
    stems = Counter(re.sub(r"\d+", "*", name) for name in names)
    if len(stems) > 1:
        shown = ", ".join(f"{count} of {stem}" for stem, count in sorted(stems.items()))
        pattern = paths[0].parent / min(stems)
        raise DataError(
            f"{paths[0].parent}: files of several sets: {shown}; name one, like '{pattern}'"
        )
    numbers = [[int(n) for n in re.findall(r"\d+", Path(name).stem)] for name in names]
    if named or not numbers[0]:
        return
    total = re.search(r"-of-(\d+)", names[0])
    place = -2 if total and len(numbers[0]) > 1 else -1
    have = {each[place] for each in numbers}
    want = range(int(total[1])) if total else range(min(have), max(have) + 1)
    if missing := sorted(set(want) - have):
        shown = ", ".join(map(str, missing[:5])) + (" …" if len(missing) > 5 else "")
        raise DataError(f"{paths[0].parent}: shards are missing: {shown} ({len(missing)} in all)")


def _without_hash(name: str) -> str:
    """Return a shard's name without the digest that Hugging Face put behind the numbers once."""
    return re.sub(r"(-of-\d+)-[0-9a-f]{8,}", r"\1", name)


def _look_into(folder: Path) -> Found:
    every = sorted(os.scandir(folder), key=_name)
    items = [item for item in every if not is_left_out(item.name)]
    found = _sorted_out(folder, [Path(item.path) for item in items if not item.is_dir()])
    found = replace(
        found,
        folders=tuple(item.name for item in items if item.is_dir()),
        left_out=tuple(item.name for item in every if is_left_out(item.name)),
    )
    if found.folders == ("data",) and (inside := _look_into(folder / "data")).parquets:
        # A copy of a repository of Hugging Face, which has its files in there.
        rest = (*inside.folders, *inside.images, *inside.others, *inside.left_out)
        return replace(
            found,
            folders=(),
            parquets=(*found.parquets, *inside.parquets),
            left_out=(*found.left_out, *(f"data/{name}" for name in rest)),
        )
    return found


def _name(item: "os.DirEntry[str]") -> str:
    return item.name


def _sorted_out(path: Path, files: Iterable[Path]) -> Found:
    images, tars, parquets, others = [], [], [], []
    for file in files:
        suffix = file.suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            images.append(file.name)  # a FIFO or a broken link too: named when it is read
            continue
        _check_file(file)
        if suffix == ".tar":
            tars.append(file)
        elif suffix == ".parquet":
            parquets.append(file)
        else:
            others.append(file.name)
    return Found(path, (), tuple(images), tuple(tars), tuple(parquets), tuple(others))


def _check_file(path: Path) -> None:
    if not path.exists():
        raise DataError(f"{path}: a link to nothing; restore what it points to, or remove it")
    if kind := special_kind(path.stat().st_mode):
        raise DataError(f"{path}: {kind}, not a file; remove it")


def _is_shard(path: Path) -> bool:
    return path.suffix.lower() in (".tar", ".parquet")


def _matches(pattern: Path) -> list[Path]:
    """Return the files of a pattern; every number of a brace must be there."""
    names = _braces(pattern.name)
    folder = pattern.parent
    every = sorted(item.name for item in folder.iterdir()) if folder.is_dir() else []
    here = [name for name in every if not is_left_out(name)]
    found: list[Path] = []
    for name in names:
        matching = fnmatch.filter(here, name)
        if not matching:
            raise DataError(f"{pattern}: no file {pattern.parent / name}")
        found += [pattern.parent / match for match in matching]
    return list(dict.fromkeys(found))  # parts of a pattern may overlap


def _braces(name: str) -> list[str]:
    """Return the names that ``{000..012}`` stands for."""
    parts = re.split(r"(\{\d+\.\.\d+\})", name)
    choices = []
    for part in parts:
        match = re.fullmatch(r"\{(\d+)\.\.(\d+)\}", part)
        if match:
            width = len(match[1])
            choices.append([f"{n:0{width}d}" for n in range(int(match[1]), int(match[2]) + 1)])
        else:
            choices.append([part])
    return ["".join(words) for words in product(*choices)]


def _some(names: Sequence[str], what: str) -> str:
    if not names:
        return ""
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{len(names):,} {what}{'s' if len(names) > 1 else ''} ({shown})"


def _near(path: Path) -> str:
    """Offer the sibling that the user may have meant."""
    parent = path.parent
    siblings = [item.name for item in parent.iterdir()] if parent.is_dir() else []
    near = difflib.get_close_matches(path.name, siblings, n=1)
    return f"; did you mean {parent / near[0]}?" if near else ""
