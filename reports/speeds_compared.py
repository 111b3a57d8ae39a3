"""A speed of the head against the noise band of the base's runs."""

from collections.abc import Sequence
from dataclasses import replace

from bench.stats import BAND_MIN_RUNS, geometric_mean, noise_band, p_of_run
from reports.finding import Finding, Levels, WhyNot
from reports.match import Pair
from reports.side import Run, Speed

# Measured with the accuracy, whether or not it was asked for: without enough runs for a band, it
# keeps no gate from passing.
BY_PRODUCTS = ("end_to_end_images_per_s",)


def examined(pair: Pair, found: Finding, why_not: WhyNot | None) -> Finding:
    """Return the finding with both speeds and the p value of the head's run, not yet judged."""
    base, head = pair.base, pair.head
    now = head.runs[-1] if isinstance(head, Speed) else None
    runs = base.runs if isinstance(base, Speed) else ()
    known = [run for run in runs if run != now]
    found = replace(
        found,
        base=geometric_mean([run.value for run in known]) if known else None,
        head=now.value if now else None,
        runs=len(known) or None,
    )
    if found.figure in BY_PRODUCTS and len(known) < BAND_MIN_RUNS:
        found = replace(found, asked=False)
    if why_not:
        return why_not.of(found)
    assert now is not None
    if now in runs:
        return WhyNot("not judged", "this run is one of the base's").of(found)
    if len(known) < BAND_MIN_RUNS:
        runs_known = "1 run" if len(known) == 1 else f"{len(known)} runs"
        reason = f"{runs_known} of the base known, {BAND_MIN_RUNS} needed"
        return WhyNot("not judged", reason).of(found)
    return _with_chance(found, known, now)


def judged(pair: Pair, found: Finding, levels: Levels) -> Finding:
    """Return the finding with its band and verdict."""
    if not isinstance(pair.item, Speed) or found.p_run is None or found.head is None:
        return found
    band, head = noise_band(found.speeds, levels.run), found.head
    found = replace(found, low=band.low, high=band.high).because(
        f"the noise band of {found.runs} runs is {band.low:.4g} to {band.high:.4g} {pair.item.unit}"
    )
    if band.low <= head <= band.high:
        return found
    is_slower = head > band.high if pair.item.is_latency else head < band.low
    return replace(found, verdict="slower" if is_slower else "faster")


def _with_chance(found: Finding, known: Sequence[Run], now: Run) -> Finding:
    speeds = _at_base_speed([*known, now])
    *before, head = speeds or [run.value for run in (*known, now)]
    machine = (
        f"at the base's machine speed, where this one's {now.value:.4g} are {head:.4g}"
        if speeds
        else "as measured"
    )
    found = replace(found, head=head, p_run=p_of_run(before, head), speeds=tuple(before))
    return found.because(f"speeds {machine}")


def _at_base_speed(runs: Sequence[Run]) -> list[float] | None:
    """Return images/s of runs as a machine would show that is always as fast as the base's was.

    The last run is the head's. None if the reference work did not run beside all of them, or was
    not the same: another torch may change it as much as the network.
    """
    relative = [run.images_per_reference for run in runs if run.images_per_reference]
    if len(relative) < len(runs) or len({(r.reference_version, r.torch) for r in runs}) > 1:
        return None
    references_per_s = [run.value / each for run, each in zip(runs, relative, strict=True)]
    of_base = geometric_mean(references_per_s[:-1])
    return [each * of_base for each in relative]
