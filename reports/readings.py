"""How a printed count can be read so that it fits a counted one: one named function a reading.

A count that no reading explains is an erratum. Strict readings say exactly which digits are
printed for a count. Lenient ones say what another counter or another implementation would
explain; a table that contradicts itself about one network takes them away, because one source
counts in one way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import cast

from zoo.published import ClaimedFigure, Match

# Norms, activations, biases, pooling: what counters count or leave out is a few percent of a
# classifier's multiply-adds. Five is beyond all of them, and beyond one change of network.
COUNTERS_DIFFER_BY = Decimal("0.05")
# Implementations of one paper differ in biases, norms and embeddings: less than a percent.
IMPLEMENTATIONS_DIFFER_BY = Decimal("0.01")


@dataclass(frozen=True)
class Count:
    """A count as a table prints it, and as it was counted, both in the figure's unit.

    Attributes:
        figure: ``params_m`` (millions) or ``gflops`` (1e9 multiply-adds of one image).
        printed: the text of the cell.
        counted: the raw count, scaled and not rounded.
        match: whether the counted network is the row's very own or its library's likeness.
    """

    figure: ClaimedFigure
    printed: str
    counted: Decimal
    match: Match | None

    @property
    def value(self) -> Decimal:
        """Return the printed figure."""
        return Decimal(self.printed)

    @property
    def digit(self) -> Decimal:
        """Return what one step of the last printed digit is worth."""
        return Decimal(1).scaleb(cast(int, self.value.as_tuple().exponent))

    @property
    def tolerance(self) -> Decimal:
        """Return half of the last printed digit."""
        return self.digit / 2

    @property
    def difference(self) -> Decimal:
        """Return counted less printed."""
        return self.counted - self.value

    @property
    def excess(self) -> Decimal:
        """Return by which fraction of the counted figure the printed one is larger."""
        return self.value / self.counted - 1

    @property
    def reproduced(self) -> bool:
        """Return whether the two agree to the last printed digit."""
        return abs(self.difference) <= self.tolerance

    @property
    def false_zero(self) -> bool:
        """Return whether a whole number was cut off the count, and a zero printed behind it."""
        return self.printed.endswith(".0") and self.value == _whole(self.counted, ROUND_FLOOR)


def cut(count: Count) -> str | None:
    """Explain digits that are cut where they should be rounded: 17.564 as 17.5."""
    if count.counted.quantize(count.digit, ROUND_FLOOR) == count.value:
        return "cut, not rounded"
    return None


def rounded_up(count: Count) -> str | None:
    """Explain digits that are rounded up where they should be rounded: 28.288 as 29."""
    if count.counted.quantize(count.digit, ROUND_CEILING) == count.value:
        return "rounded up"
    return None


def whole_number(count: Count) -> str | None:
    """Explain a right whole number behind whose point a zero is printed: 44.549 as 45.0."""
    if count.printed.endswith(".0") and _whole(count.counted, ROUND_HALF_UP) == count.value:
        return "rounded to a whole number, its .0 is no digit"
    return None


def two_digits(count: Count) -> str | None:
    """Explain a whole number of three digits or more that keeps two of them: 118.515 as 120."""
    if "." in count.printed or len(count.printed) < 3:
        return None
    step = Decimal(1).scaleb(len(count.printed) - 2)
    if (count.counted / step).quantize(Decimal(1), ROUND_HALF_EVEN) * step == count.value:
        return "rounded to two digits"
    return None


def counter_adds(count: Count) -> str | None:
    """Explain a few percent more multiply-adds: a counter that adds more than products."""
    if count.figure == "gflops" and 0 < count.excess <= COUNTERS_DIFFER_BY:
        return "a counter that adds norms or biases"
    return None


def counter_leaves_out(count: Count) -> str | None:
    """Explain a few percent fewer multiply-adds: a counter that leaves small operators out."""
    if count.figure == "gflops" and -COUNTERS_DIFFER_BY <= count.excess < 0:
        return "a counter that leaves operators out"
    return None


def other_implementation(count: Count) -> str | None:
    """Explain less than a percent of a network that is the paper's by its architecture alone."""
    if count.match == "architecture" and abs(count.excess) <= IMPLEMENTATIONS_DIFFER_BY:
        return "another implementation"
    return None


Reading = Callable[[Count], str | None]
STRICT: tuple[Reading, ...] = (cut, rounded_up, whole_number, two_digits)
LENIENT: tuple[Reading, ...] = (counter_adds, counter_leaves_out, other_implementation)


def explanations(count: Count, *, contradicted: bool = False) -> tuple[str, ...]:
    """Return what every reading that explains the count says.

    Args:
        count: a count that is not reproduced.
        contradicted: its own table prints a better figure of the same network elsewhere.
    """
    readings = STRICT if contradicted else STRICT + LENIENT
    return tuple(text for reading in readings if (text := reading(count)) is not None)


def why_an_erratum(count: Count, *, img_size: int) -> str:
    """Return how far from the count a print is that nothing explains, and what that looks like."""
    if count.false_zero:
        return f"{count.counted:.2f} is neither rounded nor cut to it: its 0 was never counted"
    share = f"{float(count.excess) * 100:+.1f} % from the count"
    if count.figure != "gflops" or abs(count.excess) <= COUNTERS_DIFFER_BY:
        return share
    # Multiply-adds grow with the number of positions, which is the square of the image's side.
    side = float(count.value / count.counted) ** 0.5
    text = f"{share}: as if of {img_size * side:.0f} px in place of {img_size}"
    wider = round(1 / side)
    if wider > 1:
        text += f", or of patches {wider} times as wide"
    return text


def _whole(value: Decimal, rounding: str) -> Decimal:
    return value.quantize(Decimal(1), rounding)
