"""Which row of the base is which row of the head: by the whole key, or by the entry's name alone.

By the key, a row without its equal is given with the nearest of the same entry and with the fields
in which the two differ, and is not compared with it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
    """A row on each side, or on one.

    ``spare``: the base has the row of several machines, and this is not the head's.
    """

    base: Item | None
    head: Item | None
    differences: tuple[Difference, ...] = ()
    spare: bool = False

    @property
    def relocated(self) -> bool:
        """Return whether the same was measured, on another device or machine."""
        return _is_relocated(self.item, self.differences)

    @property
    def other_machine(self) -> bool:
        """Return whether two speeds say more of their machines than of what was measured."""
        keys = set(type(self.item.key).model_fields) - set(_WHERE)
        return any(difference.field not in keys for difference in self.differences)

    @property
    def same_work(self) -> bool:
        """Return whether the two differ in nothing but in where they were measured."""
        return all(difference.field in _WHERE for difference in self.differences)

    @property
    def item(self) -> Item:
        """Return the base's row, or the head's where the base has none."""
        item = self.base if self.base is not None else self.head
        assert item is not None
        return item


def pairs(base: Side, head: Side) -> list[Pair]:
    """Return every row of both sides once, the base's first, kind by kind.

    Rows of one entry are paired so that the nearest keys come together, equal ones first.
    """
    kinds = dict.fromkeys(item.kind for item in (*base.items, *head.items))
    return [
        pair
        for kind in kinds
        for pair in _paired(of_kind(base.items, kind), of_kind(head.items, kind))
    ]


def _paired(base: list[Item], head: list[Item]) -> Iterator[Pair]:
    partners = _partners(base, head)
    for row in base:
        if id(row) in partners:
            yield partners[id(row)]
            continue
        yield _left_over(row, [pair for other in base if (pair := partners.get(id(other)))])
    taken = {id(pair.head) for pair in partners.values()}
    yield from (Pair(None, other) for other in head if id(other) not in taken)


def _left_over(row: Item, paired: list[Pair]) -> Pair:
    """Return a row of the base without a partner, with what the head has on another device."""
    for pair in paired:
        assert pair.base is not None
        if not _is_relocated(row, differences(row, pair.base)):
            continue
        if row.key.device == pair.base.key.device:
            return Pair(row, None, spare=True)
        assert pair.head is not None
        return Pair(row, pair.head, differences(row, pair.head))
    return Pair(row, None)


def _partners(base: list[Item], head: list[Item]) -> dict[int, Pair]:
    """Return the pair of each row of the base that has one, by the row's identity."""
    by_entry: dict[str, list[Item]] = defaultdict(list)
    for other in head:
        by_entry[other.key.entry].append(other)
    near = [
        Pair(row, other, differences(row, other))
        for row in base
        for other in by_entry[row.key.entry]
    ]
    found: dict[int, Pair] = {}
    taken: set[int] = set()
    for pair in sorted(near, key=lambda pair: len(pair.differences)):
        if id(pair.base) not in found and id(pair.head) not in taken:
            found[id(pair.base)] = pair
            taken.add(id(pair.head))
    return found


def _is_relocated(row: Item, apart: Iterable[Difference]) -> bool:
    fields = {difference.field for difference in apart}
    known = set(type(row.key).model_fields)
    what, machine = fields & (known - set(SETTINGS)), fields - known
    return bool(not what and (machine or fields & set(_WHERE)))


def differences(row: Item, other: Item) -> tuple[Difference, ...]:
    """Return the fields of the keys, and of the machines, in which two rows are not the same."""
    base = {**row.machine, **row.key.model_dump()}
    head = {**other.machine, **other.key.model_dump()}
    return tuple(
        Difference(name, base.get(name), head.get(name))
        for name in dict.fromkeys((*base, *head))
        if base.get(name) != head.get(name)
    )
