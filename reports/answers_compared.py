"""Predictions of base and head, paired image by image: lost accuracy and changed predictions."""

from dataclasses import replace

from bench.stats import mcnemar, p_of_as_many
from reports.finding import FAILS, Finding, Levels, Verdict, WhyNot
from reports.match import Pair
from reports.side import Answers

# What rounding in other kernels changes at most: bf16 against fp32 changes 5 to 8 of 1,000 images
# of EfficientNet-Lite0, and fp32 against fp32 none. Significantly more changed predictions are not
# the same preprocessing and network, also where accuracy stays.
ROUNDING_FLIPS = 0.005
# Images that a reason names; all of them are in the list of flips.
_NAMED = 3


def examined(pair: Pair, found: Finding, why_not: WhyNot | None) -> Finding:
    """Return the finding with both accuracies, the flips and their p values, not yet judged."""
    base, head = pair.base, pair.head
    found = replace(found, base=getattr(base, "top1", None), head=getattr(head, "top1", None))
    if why_not:
        found = why_not.of(found)
    if not (isinstance(base, Answers) and isinstance(head, Answers)):
        return found
    if others := _other_images(base, head):
        return found.because(others.reason) if why_not else others.of(found)
    found = _with_flips(found, base, head)
    # Between other weights or other pixels, flips are what a change is made for.
    return found if pair.same_work else replace(found, p_flips=None)


def judged(found: Finding, levels: Levels) -> Finding:
    """Return the finding with its verdict, and how many predictions changed."""
    if found.images is None:
        return found
    if found.verdict == "same":
        found = replace(found, verdict=_verdict(found, levels))
    return found.because(_flips_described(found))


def limited(pair: Pair, found: Finding) -> Finding:
    """Return the finding without a verdict that passes, if images of a side could not be read."""
    sides = (("base", pair.base), ("head", pair.head))
    unread = [
        f"{side.unread} of {side.images_in_dataset} in the {name}"
        for name, side in sides
        if isinstance(side, Answers) and side.unread
    ]
    if not unread or not found.judged or found.verdict in FAILS:
        return found
    reason = f"images that could not be read are not compared: {', '.join(unread)}"
    return replace(found, verdict="not judged").because(reason)


def _with_flips(found: Finding, base: Answers, head: Answers) -> Finding:
    other = head.frame[["image", "pred", "right"]]
    both = base.frame.merge(other, on="image", suffixes=("", "_head"))
    both = both.rename(columns={"pred": "base", "pred_head": "head"})
    flips = both[both["base"] != both["head"]]
    lost = int((flips["right"] & ~flips["right_head"]).sum())
    gained = int((~flips["right"] & flips["right_head"]).sum())
    return replace(
        found,
        images=len(both),
        flipped=len(flips),
        lost=lost,
        gained=gained,
        p_value=mcnemar(lost, gained),
        p_flips=p_of_as_many(len(flips), len(both), ROUNDING_FLIPS),
        flips=flips,
    )


def _verdict(found: Finding, levels: Levels) -> Verdict:
    assert found.p_value is not None
    assert found.lost is not None
    assert found.gained is not None
    if found.p_value <= levels.mcnemar:
        return "worse" if found.lost > found.gained else "better"
    if found.p_flips is None or not found.flipped:
        return "same"
    return "changed" if found.p_flips <= levels.flips else "flipped"


def _flips_described(found: Finding) -> str | None:
    """Return how many predictions changed, to what, and the first images of them."""
    if found.flips is None or not found.flipped:
        equal = f"all {found.images} predictions are equal"
        return None if found.verdict == "same" and not found.changes else equal
    names = list(found.flips["image"][:_NAMED])
    more = f" and {found.flipped - len(names)} more" if found.flipped > len(names) else ""
    changed = ", more than rounding explains" if found.verdict == "changed" else ""
    return (
        f"{found.flipped} of {found.images} predictions differ{changed}, {found.lost} right to "
        f"wrong, {found.gained} wrong to right, p = {found.p_value:.2g}: {', '.join(names)}{more}"
    )


def _other_images(base: Answers, head: Answers) -> WhyNot | None:
    """Return why two sets of predictions cannot be paired image by image."""
    old, new = base.frame.set_index("image"), head.frame.set_index("image")
    if not (old.index.is_unique and new.index.is_unique):
        return WhyNot("not comparable", "several images have one name")
    lacking, added = old.index.difference(new.index), new.index.difference(old.index)
    if len(lacking) or len(added):
        parts = [
            f"{len(images)} of its images only in the {side} ({', '.join(images[:_NAMED])}"
            f"{', …' if len(images) > _NAMED else ''})"
            for side, images in (("base", lacking), ("head", added))
            if len(images)
        ]
        return WhyNot("missing" if len(lacking) else "not comparable", "; ".join(parts))
    if moved := int((old["label"] != new["label"].reindex(old.index)).sum()):
        return WhyNot("not comparable", f"{moved} images have other labels")
    if base.content_sha256 != head.content_sha256:
        return WhyNot("not comparable", "images of the same names and sizes have other bytes")
    return None
