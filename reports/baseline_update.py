"""What a baseline becomes with a store's rows in it, and how it says so row by row."""

from collections.abc import Iterator
from dataclasses import replace

from bench.records import SETTINGS, RowKey
from reports.compare import judged
from reports.finding import Finding
from reports.key_changes import described
from reports.match import Pair, pairs
from reports.side import Answers, Counts, Item, Side, Speed

# Older runs of a row are dropped: machines and their load change.
MAX_RUNS = 20


def updated(base: Side, head: Side) -> Side:
    """Return the base with all that the head has measured.

    A row of the head takes the place of the base's that it stands for, also where its key is
    another; rows of other machines, and rows that the head lacks, stay. A speed within the noise
    band, or not judged, is one more run; one outside of it starts the row's runs again.
    """
    _, found = judged(pairs(base, head), head)
    kept = [p.base for p, _ in found if p.base is not None and (p.head is None or p.relocated)]
    renewed: dict[int, Item] = {}
    for pair, findings in sorted(found, key=lambda one: bool(one[0].differences)):  # equals first
        if pair.head is not None:
            renewed.setdefault(id(pair.head), _renewed(pair, findings))
    return replace(base, items=(*kept, *renewed.values()))


def _renewed(pair: Pair, findings: list[Finding]) -> Item:
    """Return the head's row, a speed with the base's runs that belong to it."""
    assert pair.head is not None
    if pair.differences or not (isinstance(pair.base, Speed) and isinstance(pair.head, Speed)):
        return pair.head
    if findings[0].verdict in ("slower", "faster"):
        return pair.head
    runs = dict.fromkeys((*pair.base.runs, *pair.head.runs))  # the same run counts once
    return pair.head.model_copy(update={"runs": tuple(runs)[-MAX_RUNS:]})


def changes(before: Side, after: Side) -> Iterator[str]:
    """Yield a line for each row that an update changes or adds, and one for all that stay."""
    stay = 0
    for pair in pairs(before, after):
        what = _change(pair)
        stay += what is None
        if what:
            yield f"{_name(pair.item)}: {what}"
    yield f"unchanged: {stay}"


def _change(pair: Pair) -> str | None:
    base, head = pair.base, pair.head
    if head is None:
        return None  # of a machine that both have
    if base is None:
        return f"added: {_value(head)}"
    if isinstance(base, Answers) and isinstance(head, Answers):
        what = _answers_changed(base, head)
    elif isinstance(base, Speed) and isinstance(head, Speed):
        what = _runs_changed(base, head)
    else:
        what = None if base == head else f"{_value(base)} → {_value(head)}"
    key = described(pair.differences)
    return "; ".join(filter(None, (key, what))) or None


def _answers_changed(base: Answers, head: Answers) -> str | None:
    both = base.frame.merge(head.frame, on="image", suffixes=("", "_head"))
    flipped = int((both["pred"] != both["pred_head"]).sum())
    known = base.content_sha256, base.images_in_dataset
    if base.frame.equals(head.frame) and known == (head.content_sha256, head.images_in_dataset):
        return None
    return f"{_value(base)} → {_value(head)}, {flipped} of {len(both)} predictions differ"


def _runs_changed(base: Speed, head: Speed) -> str | None:
    new = [run for run in head.runs if run not in base.runs]
    if not new:
        return None
    speeds = f"{', '.join(f'{run.value:.4g}' for run in new)} {head.unit}"
    if set(base.runs).isdisjoint(head.runs):
        return f"outside of the noise band, so its runs begin again: {speeds}"
    return f"{len(new)} more {'run' if len(new) == 1 else 'runs'}: {speeds}"


def _value(item: Item) -> str:
    if isinstance(item, Counts):
        return f"{item.params:,} parameters, {item.macs:,} multiply-adds"
    if isinstance(item, Answers):
        return f"top-1 {100 * item.top1:.2f} % ({item.correct:,} of {len(item.frame):,})"
    return f"{', '.join(f'{run.value:.4g}' for run in item.runs)} {item.unit}"


def _name(item: Item) -> str:
    words = (_FIGURES.get(item.kind, item.kind), *_settings(item.key))
    return f"{item.key.entry} ({', '.join(words)})"


def _settings(key: RowKey) -> Iterator[str]:
    for name in SETTINGS:
        if (value := getattr(key, name)) is not None:
            yield f"batch {value}" if name == "batch_size" else str(value)


_FIGURES = {"counts": "params, GMACs", "answers": "top-1"}
