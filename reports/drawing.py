"""What all pictures have in common: sheet, scales, legend, colours, and files of the same bytes."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zoo.errors import MissingExtraError, StoreError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Okabe and Ito's colours, which every reader tells apart; without their yellow, faint on white.
# 7 colours and 11 shapes have no common divisor: 77 families look different.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_SHAPES = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
_SIZE_INCHES = (10.0, 6.4)
_DPI = 150
_LOG_FROM_RATIO = 8.0

# A handle of the legend with its text; two handles lie on each other.
Handle = tuple["Line2D | tuple[Line2D, Line2D]", str]


def family_styles(families: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return a colour and a shape for each family, in order of first appearance."""
    return {
        family: (_COLOURS[i % len(_COLOURS)], _SHAPES[i % len(_SHAPES)])
        for i, family in enumerate(dict.fromkeys(families))
    }


def new_figure() -> "Figure":
    """Return an empty sheet."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)  # which measures text
    return figure


def log_if_wide(axes: "Axes", which: Literal["x", "y"], values: Sequence[float]) -> bool:
    """Make an axis logarithmic if its values span much; return whether it is."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if min(values) <= 0 or max(values) / min(values) < _LOG_FROM_RATIO:
        return False
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5), numticks=30))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(_plain_number))
    return True


def _plain_number(value: float, _position: int | None) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def add_legend(figure: "Figure", handles: Sequence[Handle]) -> None:
    """Put a legend beside the axes."""
    figure.legend(
        handles=[handle for handle, _ in handles],
        labels=[text for _, text in handles],
        loc="outside right upper",
        fontsize=7.5,
        frameon=False,
    )


def marker_handle(marker: str, fill: str, edge: str, size: float = 6) -> "Line2D":
    """Return a mark for a legend."""
    from matplotlib.lines import Line2D

    return Line2D(
        [],
        [],
        linestyle="",
        marker=marker,
        markersize=size,
        markerfacecolor=fill,
        markeredgecolor=edge,
    )


def family_handles(
    styles: Mapping[str, tuple[str, str]], hollow: Mapping[str, bool]
) -> list[Handle]:
    """Return a handle for each family that is a key of ``hollow``."""
    return [
        (marker_handle(shape, "none" if hollow[family] else colour, colour), family)
        for family, (colour, shape) in styles.items()
        if family in hollow
    ]


def lay_out(figure: "Figure") -> None:
    """Give a figure its final layout, in which labels can be placed; saving it changes nothing."""
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)
    figure.set_layout_engine("none")


def slug(text: str) -> str:
    """Return a text as a part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def save(figure: "Figure", path: Path) -> Path:
    """Write a figure without dates and versions, so that only its contents change the bytes.

    Raises:
        StoreError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".svg":
            figure.savefig(path, dpi=_DPI, metadata={"Date": None, "Creator": None})
        else:  # as savefig does, which draws all of it twice
            figure.canvas.print_png(path, metadata={"Software": None})  # type: ignore[attr-defined]
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}; choose another") from None
    return path


@contextmanager
def fixed_style() -> Iterator[None]:
    """Draw by matplotlib's defaults, whatever the user's own are, and with fixed SVG ids."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["svg.hashsalt"] = "zoobench"
        yield


def require_matplotlib() -> None:
    """Raise MissingExtraError if matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise MissingExtraError("drawing pictures", "matplotlib", "plots")
