"""What is wrong with a dataset, before any evaluation, and how to mend it. Loads no torch."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from bench.data import order
from bench.data.dataset import (
    IMAGENET_CLASSES,
    WHAT_IS_LEFT_OUT,
    Dataset,
    LabelSet,
    Opened,
    each_of,
    open_told,
    split,
)
from bench.data.imagenet import wnids
from bench.data.labels import labels_by_number
from bench.data.scan import ImageFacts, content_sha256, scan
from bench.data.sets.own import names_in_order
from bench.executors import local
from bench.worker import redirect_output
from zoo.entry import Entry
from zoo.errors import DataError, MissingExtraError, ZoobenchError
from zoo.imagenet_c import CORRUPTIONS, SEVERITIES

Verdict = Literal["ok", "note", "WRONG", "not checked"]
# (place in the dataset, class, probability)
Answer = tuple[int, int, float]
# (what is done, done, total)
Progress = Callable[[str, int, int], None]

# The subject of what is found about the order of the labels.
ORDER = "label order"
# Images that a model predicts to tell the labels' order.
_PREDICTED = 300
# A set is pre-scaled if so many of its images share a side.
_PRESCALED_SHARE = 0.95
_PRESCALED_UP_TO_PX = 512
_SHOWN = 3
# Sets whose figures are compared with published ones, made from images of many sizes.
_ORIGINAL_SIZES = ("imagenet-val", "imagenet-real", "imagenet-labels")
_SUFFIXES = {"JPEG": {"jpg", "jpeg"}, "PNG": {"png"}, "WEBP": {"webp"}, "BMP": {"bmp"}}
_MODES = {"L": "gray", "1": "black and white", "P": "palette", "LA": "gray with alpha"}


@dataclass(frozen=True)
class Finding:
    """One thing that was examined: what was found, and how to mend what is wrong."""

    verdict: Verdict
    subject: str
    text: str
    mend: str | None = None


def examine(
    data: str, *, labels: str, models: Sequence[Entry], progress: Progress
) -> Iterator[Finding]:
    """Yield what is found about a dataset, the worst of it as ``WRONG``.

    Args:
        data: as for ``open_dataset``.
        labels: as for ``open_dataset``.
        models: the first of them is asked for the labels' order.
        progress: hears of long work.

    Raises:
        DataError: nothing lies there.
        UnknownNameError: no such set.
    """
    one, *more = each_of(data)
    if one != data:
        yield _conditions([one, *more])
    if more:
        others = f"the images of {len(more)} other conditions: name one, like {more[0]}"
        yield Finding("not checked", "conditions", others)
    try:
        opened = open_told(one, labels=labels)
    except DataError as error:
        if not any(Path(part).expanduser().exists() for part in (data, split(data)[1])):
            raise
        yield Finding("WRONG", "layout", str(error))
        return
    dataset = opened.dataset
    yield Finding("ok", "layout", opened.describe())
    yield from _names(opened)
    yield from _counts(opened)
    facts = scan(dataset, lambda done, total: progress("images read", done, total))
    yield _unreadable(dataset, facts)
    yield from _odd(dataset, facts)
    yield _duplicates(dataset, facts)
    yield _modes(dataset, facts)
    yield _sizes(dataset, facts)
    yield from _with_model(one, labels, opened, facts, models, progress)
    yield Finding("ok", "content", f"sha256 {content_sha256(facts)} of {_amount(facts)}")


def _conditions(found: Sequence[str]) -> Finding:
    have = {tuple(one.split("/")[-2:]) for one in found}
    want = [(corruption, str(severity)) for corruption in CORRUPTIONS for severity in SEVERITIES]
    missing = ["/".join(pair) for pair in want if pair not in have]
    told = f"{len(want) - len(missing)} of {len(want)}; the first, {found[0]}, is examined"
    if not missing:
        return Finding("ok", "conditions", told)
    return Finding(
        "WRONG",
        "conditions",
        f"{told}; missing: {_some(missing)}",
        "unpack the missing ones: there is no mean corruption error without them",
    )


def _names(opened: Opened) -> Iterator[Finding]:
    """Yield what was made of the names of files and folders."""
    if opened.listing and opened.listing.left_out:
        text = f"{WHAT_IS_LEFT_OUT}: {_some(opened.listing.left_out)}"
        yield Finding("note", "left out", text)
    if opened.matched_names:
        yield Finding("note", "names", opened.matched_names)
    if opened.dataset.kind == "imagenet-val":
        try:
            labels_by_number()
        except MissingExtraError as error:
            yield Finding("not checked", "known labels", str(error))


def _counts(opened: Opened) -> Iterator[Finding]:
    dataset, label_set = opened.dataset, opened.label_set
    expected = label_set.images if label_set else None
    count = f"{len(dataset):,} images"
    if expected and len(dataset) != expected:
        text = f"{count}; {label_set.title if label_set else ''} has {expected:,}"
        mend = "a part gives no figure of the set; get the missing ones, or remove the others"
        yield Finding("WRONG", "count", text, mend)
    else:
        yield Finding("ok", "count", count + (", as the set has" if expected else ""))
    yield _classes(dataset, label_set)
    names = opened.listing.names if opened.listing and dataset.kind == "own" else set()
    if len(names) > 10 and all(name.isdecimal() and str(int(name)) == name for name in names):
        yield Finding(
            "WRONG",
            ORDER,
            "folders are numbers, and are numbered as text: 10 comes before 2",
            "give them leading zeros, or check that the model was trained in this order",
        )


def _classes(dataset: Dataset, label_set: LabelSet | None) -> Finding:
    counts = Counter(dataset.labels)
    low, high = min(counts.values()), max(counts.values())
    many = f"{low}" if low == high else f"{low} to {high}"
    text = f"{len(counts)} of {dataset.classes} classes have images, {many} each"
    if dataset.mask:
        text = f"{len(counts)} of its {len(dataset.mask)} classes have images, {many} each"
    expected = label_set.per_class if label_set else None
    odd = [c for c in range(dataset.classes) if counts[c] != expected] if expected else []
    if not odd:
        return Finding("ok", "classes", text)
    names = [f"{wnids()[label]} has {counts[label]}" for label in odd]
    return Finding(
        "WRONG",
        "classes",
        f"{text}; expected {expected}: {_some(names)}",
        "compare the folders with the original archive's",
    )


def _unreadable(dataset: Dataset, facts: Sequence[ImageFacts]) -> Finding:
    bad = [f"{dataset.images[i]}: {f.reason}" for i, f in enumerate(facts) if f.reason]
    if not bad:
        return Finding("ok", "readable", "all images can be decoded")
    return Finding(
        "WRONG",
        "readable",
        f"{len(bad)} cannot be decoded: {_some(bad)}",
        "copy them again from the original; remove what is no image",
    )


def _odd(dataset: Dataset, facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    odd = []
    for image, fact in zip(dataset.images, facts, strict=True):
        suffix = image.rpartition("/")[2].rpartition(".")[2].lower()
        if fact.format and suffix not in _SUFFIXES.get(fact.format, {suffix}):
            odd.append(f"{image} is {fact.format}")
    if odd:
        yield Finding("note", "formats", f"{len(odd)} under another suffix: {_some(odd)}")
    deep = [f"{image}: {f.odd}" for image, f in zip(dataset.images, facts, strict=True) if f.odd]
    if deep:
        yield Finding("WRONG", "odd files", f"not seen as they are: {_some(deep)}")


def _duplicates(dataset: Dataset, facts: Sequence[ImageFacts]) -> Finding:
    by_content: dict[bytes, list[int]] = defaultdict(list)
    for place, fact in enumerate(facts):
        if fact.size_bytes:
            by_content[fact.sha256].append(place)
    groups = [places for places in by_content.values() if len(places) > 1]
    if not groups:
        return Finding("ok", "duplicates", "no two files have the same bytes")
    torn = [places for places in groups if len({dataset.labels[p] for p in places}) > 1]
    shown = _some([" = ".join(dataset.images[p] for p in places) for places in torn or groups])
    copies = sum(map(len, groups)) - len(groups)
    count = "1 file repeats" if copies == 1 else f"{copies} files repeat"
    classes = f", {len(torn)} of them under different labels" if torn else ""
    return Finding(
        "WRONG",
        "duplicates",
        f"{count} another{classes}: {shown}",
        "remove the copies, which count twice; nearly equal images are not looked for",
    )


def _modes(dataset: Dataset, facts: Sequence[ImageFacts]) -> Finding:
    counts = Counter(fact.mode for fact in facts if fact.mode)
    told = ", ".join(f"{n:,} {_MODES.get(str(m), m)}" for m, n in counts.most_common())
    text = f"{told or 'none could be read'}; all become RGB by Pillow"
    cmyk = [image for image, f in zip(dataset.images, facts, strict=True) if f.mode == "CMYK"]
    if cmyk:
        text += f"; decoders differ on CMYK: {_some(cmyk)}"
    return Finding("note" if len(counts) > 1 or cmyk else "ok", "colours", text)


def _sizes(dataset: Dataset, facts: Sequence[ImageFacts]) -> Finding:
    sizes = [fact.size_px for fact in facts if fact.size_px]
    if not sizes:
        return Finding("not checked", "sizes", "no image could be read")
    whole, whole_count = Counter(sizes).most_common(1)[0]
    side, side_count = Counter(min(size) for size in sizes).most_common(1)[0]
    shorter = sorted(min(size) for size in sizes)
    spread = f"shorter sides {shorter[0]} to {shorter[-1]} px, median {shorter[len(shorter) // 2]}"
    limit = _PRESCALED_SHARE * len(sizes)
    scaled = side_count >= limit and side <= _PRESCALED_UP_TO_PX and len(sizes) > 1
    if not scaled:
        return Finding("ok", "sizes", spread)
    what = f"{whole[0]}x{whole[1]} px" if whole_count >= limit else f"{side} px at the shorter side"
    text = f"pre-scaled: {max(side_count, whole_count):,} of {len(sizes):,} images have {what}"
    if dataset.kind not in _ORIGINAL_SIZES:
        return Finding("note", "sizes", text)
    mend = "evaluate the original images: these were resized, perhaps cropped, before"
    return Finding("WRONG", "sizes", f"{text}; no published figure is made of such", mend)


def _with_model(
    data: str,
    labels: str,
    opened: Opened,
    facts: Sequence[ImageFacts],
    models: Sequence[Entry],
    progress: Progress,
) -> Iterator[Finding]:
    """Yield the order of the labels and the cost of the pixels, as a worker finds them."""
    dataset = opened.dataset
    readable = [place for place, fact in enumerate(facts) if not fact.reason]
    if not readable or not models:
        why = "no image could be read" if models else "no model was given"
        yield Finding("not checked", ORDER, why)
        return
    chosen = order.pick([dataset.labels[place] for place in readable], _PREDICTED)
    found = _Asked()
    for done in found.listen(models[0], data, labels, [readable[i] for i in chosen]):
        progress("images predicted", done, len(chosen))
    if found.unread:
        bad = [f"{dataset.images[place]}: {reason}" for place, reason in found.unread]
        text = f"{len(bad)} of {len(chosen)} cannot be resized or cropped: {_some(bad)}"
        yield Finding("WRONG", "preprocess", text, "remove what is not a photograph")
    yield _order(opened, found, models[0].name)
    if found.cost:
        yield _cost(dataset, found.cost)
        yield _cache(dataset, found.cost)
    else:
        yield Finding("not checked", "pixels cost", found.cost_reason)


@dataclass
class _Asked:
    """What a worker says of some images of a dataset."""

    answers: list[Answer] = field(default_factory=list)
    unread: list[tuple[int, str]] = field(default_factory=list)
    reason: str | None = None
    cost: dict[str, Any] = field(default_factory=dict)
    cost_reason: str = "the worker did not come to it"

    def listen(self, model: Entry, data: str, labels: str, places: list[int]) -> Iterator[int]:
        """Fill in what the worker sends; yield how many images it has predicted."""
        try:
            for event in local.ask(_in_worker, model, data, labels, places):
                self.answers += event.get("predicted", ())
                self.unread += event.get("unread", ())
                self.reason = event.get("not_checked", self.reason)
                self.cost = event.get("cost", self.cost)
                self.cost_reason = event.get("cost_not_measured", self.cost_reason)
                yield len(self.answers)
        except ZoobenchError as error:  # the worker died
            if len(self.answers) + len(self.unread) < len(places):
                self.reason = str(error)
            self.cost_reason = str(error)


def _in_worker(
    entry: Entry, data: str, labels: str, places: list[int], log: str, pipe: Connection
) -> None:
    from bench.measure import label_order  # torch, which the parent does without

    redirect_output(log)
    label_order.run(entry, data, labels, places, pipe)


def _order(opened: Opened, asked: _Asked, model: str) -> Finding:
    dataset, reason = opened.dataset, asked.reason
    if reason is None and len(asked.answers) < order.MIN_IMAGES:
        reason = f"{len(asked.answers)} images are too few; {order.MIN_IMAGES} would do"
    if reason is not None:
        own = dataset.classes != IMAGENET_CLASSES
        mend = "name a model of these classes: --model NAME --manifest FILE" if own else None
        return Finding("not checked", ORDER, f"by {model}: {reason}", mend)
    places, predictions, probabilities = zip(*asked.answers, strict=True)
    labels = [dataset.labels[place] for place in places]
    found = order.judge(labels, predictions, probabilities, _class_names(opened))
    verdict: Verdict = "ok" if found.verdict == "right" else "WRONG"
    return Finding(verdict, ORDER, f"by {model}: {found.text}", found.mend)


def _class_names(opened: Opened) -> Sequence[str] | None:
    """Return the names of a user's own classes; None where they are ImageNet's."""
    if opened.dataset.kind != "own" or opened.listing is None:
        return None
    return names_in_order(opened.listing) or list(map(str, range(opened.dataset.classes)))


def _cost(dataset: Dataset, cost: dict[str, Any]) -> Finding:
    each = ", ".join(f"{ms:.1f} ms by {decoder}" for decoder, ms in cost["ms"].items())
    minutes = len(dataset) * min(cost["ms"].values()) / 60_000
    text = f"{each} an image on one core, {minutes:.1f} core-minutes in all ({cost['preprocess']})"
    return Finding("ok", "pixels cost", text)


def _cache(dataset: Dataset, cost: dict[str, Any]) -> Finding:
    total = len(dataset) * cost["bytes_an_image"]
    text = (
        f"{_bytes(total)} of disk for decoded pixels at this crop; mapped, so that it takes "
        "memory only while there is some to spare"
    )
    return Finding("ok", "cache", text)


def _amount(facts: Sequence[ImageFacts]) -> str:
    return _bytes(sum(fact.size_bytes for fact in facts))


def _bytes(count: float) -> str:
    power = max(0, len(str(int(count))) - 1) // 3
    return f"{count / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def _some(names: Sequence[str]) -> str:
    more = f" … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
