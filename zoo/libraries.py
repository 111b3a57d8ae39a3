"""All networks of a library as entries, chosen by a pattern: ``timm:resnet*``."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from zoo.entry import Entry, SourceName, Weights
from zoo.errors import UnknownNameError, ZoobenchError


def library_entries(spec: str) -> tuple[Entry, ...]:
    """Return the entries of ``LIBRARY:GLOB``, in the library's order.

    A glob without a dot matches architectures. timm then gives each one's default weights (or
    none, where none are published), torchvision all of each one's. With a dot it matches
    ``architecture.tag``: ``timm:resnet50.*`` gives all published weights.

    Raises:
        UnknownNameError: no such library, or the glob matches nothing.
        ZoobenchError: the spec is not of that form.
    """
    library, colon, pattern = spec.partition(":")
    if library not in _LIBRARIES:
        raise UnknownNameError("library", library, _LIBRARIES, f"zoo {spec!r}")
    if not colon or not pattern:
        raise ZoobenchError(f"zoo {spec!r}: give a library and a pattern, like {library}:resnet*")
    return _LIBRARIES[library](pattern)


def _timm_entries(pattern: str) -> tuple[Entry, ...]:
    import timm
    from timm.models import get_deprecated_models, get_pretrained_cfg

    renamed, name = get_deprecated_models(), pattern.partition(".")[0]
    if name in renamed:
        now = f"give timm:{renamed[name]}" if renamed[name] else "it has no successor"
        raise ZoobenchError(f"zoo 'timm:{pattern}': timm has renamed {name!r}: {now}")
    if "." in pattern:
        names = _matching("timm", pattern, timm.list_pretrained())
        return tuple(_entry("timm", *name.split(".", 1)) for name in names)
    entries = []
    for architecture in _matching("timm", pattern, timm.list_models()):
        config = get_pretrained_cfg(architecture)
        tag = config.tag if config is not None and config.has_weights else None
        entries.append(_entry("timm", architecture, tag))
    return tuple(entries)


def _torchvision_entries(pattern: str) -> tuple[Entry, ...]:
    from torchvision import models

    architectures = models.list_models(module=models)  # the classifiers, unquantized
    tags = {name: [tag.name for tag in models.get_model_weights(name)] for name in architectures}
    if "." in pattern:
        names = [f"{name}.{tag}" for name in architectures for tag in tags[name]]
        names = _matching("torchvision", pattern, names)
        return tuple(_entry("torchvision", *name.split(".", 1)) for name in names)
    chosen = _matching("torchvision", pattern, architectures)
    return tuple(
        _entry("torchvision", name, tag) for name in chosen for tag in tags[name] or [None]
    )


_LIBRARIES: dict[str, Callable[[str], tuple[Entry, ...]]] = {
    "timm": _timm_entries,
    "torchvision": _torchvision_entries,
}


def _matching(library: str, pattern: str, names: Iterable[str]) -> list[str]:
    known = list(names)
    found = [name for name in known if fnmatchcase(name, pattern)]
    if not found:
        raise UnknownNameError(f"{library} model or pattern", pattern, known)
    return found


def _entry(library: SourceName, architecture: str, tag: str | None) -> Entry:
    return Entry(
        name=f"{architecture}.{tag}" if tag else architecture,
        source=library,
        architecture=architecture,
        weights=Weights(tag=tag) if tag else None,
        tags=(library,),
    )
