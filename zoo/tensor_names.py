"""From the names of the tensors in a checkpoint to the network's: prefixes, drops, key maps."""

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from zoo.entry import KeyMap, Weights
from zoo.errors import WeightsError
from zoo.weights import Checkpoint, some

# What torch.compile, DataParallel and Lightning put before every name.
_PREFIXES = ("_orig_mod.", "module.", "model.")


def for_network(
    checkpoint: Checkpoint, weights: Weights, network_names: Iterable[str], where: str
) -> Checkpoint:
    """Return the checkpoint under the network's names.

    Prefixes of wrappers go first, unless the network has them itself; then what ``weights.drop``
    names; then ``weights.key_map`` renames the rest.

    Raises:
        WeightsError: a drop matches nothing, or two names become the same.
    """
    own = list(network_names)
    names = {name: name for name in checkpoint.values}
    notes = list(checkpoint.notes)
    prefixes = []
    while prefix := _wrapper_prefix(names.values(), own):
        names = {name: now.removeprefix(prefix) for name, now in names.items()}
        prefixes.append(prefix)
    if prefixes:
        notes.append(f"prefix {''.join(prefixes)!r} removed")
    if dropped := _dropped(names, weights.drop, where):
        notes.append(f"dropped {some(dropped)}")
        names = {name: now for name, now in names.items() if now not in dropped}
    if weights.key_map:
        names = _renamed(names, weights.key_map, own)
    _refuse_collisions(names, where)
    values = {now: checkpoint.values[name] for name, now in names.items()}
    versions = {_without(f"{module}.", prefixes): v for module, v in checkpoint.versions.items()}
    return Checkpoint(values, versions, tuple(notes))


def _wrapper_prefix(names: Iterable[str], own: Sequence[str]) -> str | None:
    """Return a wrapper's prefix that some names have, and none of the network's."""
    have = list(names)
    for prefix in _PREFIXES:
        in_file = any(name.startswith(prefix) for name in have)
        if in_file and not any(name.startswith(prefix) for name in own):
            return prefix
    return None


def _without(module: str, prefixes: Sequence[str]) -> str:
    for prefix in prefixes:
        module = module.removeprefix(prefix)
    return module.removesuffix(".")


def _dropped(names: Mapping[str, str], patterns: Sequence[str], where: str) -> list[str]:
    found: list[str] = []
    for pattern in patterns:
        matched = [name for name in names.values() if fnmatchcase(name, pattern)]
        if not matched:
            raise WeightsError(f"{where}: weights.drop {pattern!r} matches no name in the file")
        found += matched
    return list(dict.fromkeys(found))


def _refuse_collisions(names: Mapping[str, str], where: str) -> None:
    """Raise WeightsError if two tensors get one name: one of them would be lost."""
    first: dict[str, str] = {}
    for name, now in names.items():
        if now in first:
            raise WeightsError(
                f"{where}: {first[now]!r} and {name!r} both become {now!r}: correct "
                "weights.key_map, or leave one of them out with weights.drop"
            )
        first[now] = name


def _renamed(
    names: Mapping[str, str], key_map: KeyMap, network_names: Sequence[str]
) -> dict[str, str]:
    nested = {flat: _nested(target, network_names) for flat, target in key_map.flatten.items()}
    return {name: _rename(now, key_map, nested) for name, now in names.items()}


def _rename(name: str, key_map: KeyMap, nested: Mapping[str, list[str]]) -> str:
    for pattern, replacement in key_map.rename:
        if match := re.match(pattern, name):
            name = match.expand(replacement) + name[match.end() :]
            break
    for flat, blocks in nested.items():
        if match := re.match(rf"{re.escape(flat)}\.(\d+)\.", name):
            index = int(match[1])
            if index < len(blocks):
                name = f"{blocks[index]}.{name[match.end() :]}"
    return name


def _nested(target: str, names: Iterable[str]) -> list[str]:
    """Return ``blocks.S.B`` of all stages in order."""
    pattern = re.compile(rf"{re.escape(target)}\.(\d+)\.(\d+)\.")
    found = {(int(m[1]), int(m[2])) for name in names if (m := pattern.match(name))}
    return [f"{target}.{stage}.{block}" for stage, block in sorted(found)]
