"""Which row of the base is which row of the head: by the key, and by nothing less.

A row without its equal is told with the nearest of the same entry, and by which fields it differs.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bench.records import SETTINGS
from reports.side import Item, Side, of_kind

# Where a row was measured, as against what was measured.
_WHERE = ("device", "device_name")


@dataclass(frozen=True)
class Difference:
    """A field of two rows' keys, or of their machines, that is not the same."""

    field: str
    base: object
    head: object


@dataclass(frozen=True)
class Pair:
    """A row on each side, or on one; with differences the two must not be compared.

    ``spare``: the base has the row of several machines, and this is not the head's.
    """

    base: Item | None
    head: Item | None
    differences: tuple[Difference, ...] = ()
    spare: bool = False

    @property
    def elsewhere(self) -> bool:
        """Return whether the same was measured, on another device or machine."""
        fields = {difference.field for difference in self.differences}
        what = fields & (set(type(self.item.key).model_fields) - set(SETTINGS))
        machine = fields - set(type(self.item.key).model_fields)
        return bool(not what and (machine or fields & set(_WHERE)))

    @property
    def item(self) -> Item:
        """Return the base's row, or the head's where the base has none."""
        item = self.base if self.base is not None else self.head
        assert item is not None
        return item


def pairs(base: Side, head: Side) -> list[Pair]:
    """Return every row of both sides once, the base's first, kind by kind."""
    kinds = dict.fromkeys(item.kind for item in (*base.items, *head.items))
    return [pair for kind in kinds for pair in _paired(of_kind(base.items, kind), head, kind)]


def _paired(base: list[Item], head: Side, kind: str) -> Iterable[Pair]:
    theirs = of_kind(head.items, kind)
    by_entry: dict[str, list[Item]] = defaultdict(list)
    for other in theirs:
        by_entry[other.key.entry].append(other)
    equal = {
        id(row): other
        for row in base
        for other in by_entry[row.key.entry]
        if not differences(row, other)
    }
    taken = {id(other) for other in equal.values()}
    for row in base:
        if id(row) in equal:
            yield Pair(row, equal[id(row)])
            continue
        near = _nearest(row, by_entry[row.key.entry], taken) or Pair(row, None)
        taken.add(id(near.head))
        # The head's row may be the equal of another row of the base, of the head's own machine.
        own = near.elsewhere and any(near.head is other for other in equal.values())
        yield replace(near, spare=own)
    yield from (Pair(None, other) for other in theirs if id(other) not in taken)


def _nearest(row: Item, theirs: list[Item], taken: set[int]) -> Pair | None:
    """Return the row with the nearest of its entry; one taken already serves another machine's."""
    near = [Pair(row, other, differences(row, other)) for other in theirs]
    free = [pair for pair in near if pair.elsewhere or id(pair.head) not in taken]
    return min(free, key=lambda pair: len(pair.differences), default=None)


def differences(row: Item, other: Item) -> tuple[Difference, ...]:
    """Return the fields of the keys, and of the machines, in which two rows are not the same."""
    ours = {**row.machine, **row.key.model_dump()}
    theirs = {**other.machine, **other.key.model_dump()}
    return tuple(
        Difference(name, ours.get(name), theirs.get(name))
        for name in dict.fromkeys((*ours, *theirs))
        if ours.get(name) != theirs.get(name)
    )
