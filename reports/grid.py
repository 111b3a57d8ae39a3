"""Pictures side by side, each over its captions."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.drawing import fixed_style, require_matplotlib, save

SUFFIXES = (".png", ".svg")
_MAX_COLUMNS = 4
_CELL_INCHES = 3.4
_LINE_INCHES = 0.15
# Longer captions would run into the neighbour's.
_CAPTION_CHARACTERS = 52


@dataclass(frozen=True)
class Cell:
    """An encoded picture, its name, and lines to stand below it."""

    data: bytes
    name: str
    captions: tuple[str, ...]


def check() -> None:
    """Raise MissingExtraError if grids cannot be drawn."""
    require_matplotlib()


def write_grid(cells: Sequence[Cell], path: Path) -> Path:
    """Write a grid of pictures, at most four a row, as PNG or SVG by the file's suffix.

    Raises:
        StoreError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    columns = min(len(cells), _MAX_COLUMNS)
    rows = math.ceil(len(cells) / columns)
    lines = max(len(cell.captions) for cell in cells)
    height = rows * (_CELL_INCHES + _LINE_INCHES * (lines + 1))
    with fixed_style():
        figure = Figure(figsize=(columns * _CELL_INCHES, height), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, cell in zip(grid.flat, cells, strict=False):
            with Image.open(io.BytesIO(cell.data)) as image:
                axes.imshow(image.convert("RGB"))
            axes.set_title(_shortened(cell.name), fontsize=8)
            text = "\n".join(_shortened(line) for line in cell.captions)
            axes.text(
                0.5, -0.02, text, transform=axes.transAxes, ha="center", va="top", fontsize=7.5
            )
        return save(figure, path)


def _shortened(text: str) -> str:
    return text if len(text) <= _CAPTION_CHARACTERS else text[: _CAPTION_CHARACTERS - 1] + "…"
