"""Many tests at once, and one bound for the error of all of them together."""

from collections.abc import Sequence


def holm_level(p_values: Sequence[float], alpha: float) -> float:
    """Return the level to which every p value is held: one is significant if it is not above.

    Holm's step-down procedure (S. Holm, Scandinavian Journal of Statistics 6, 1979): whichever of
    the tested things are unchanged, the chance that any of them is called changed is at most
    ``alpha``. With the p values in order, the k-th of m is significant if it and all before it are
    at most alpha / (m - k + 1); that is the same as one level, of the last k that is. One test
    alone is held to ``alpha``.
    """
    level = alpha / max(len(p_values), 1)
    for place, p_value in enumerate(sorted(p_values)):
        own = alpha / (len(p_values) - place)
        if p_value > own:
            break
        level = own
    return level
