"""Claims: what papers and libraries print about networks, kept as printed, with their source.

One CSV file a table, a line a row of it, in the table's own order. Loading one imports no torch.
"""

import csv
from collections.abc import Iterable
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import BeforeValidator, Field, ValidationError

from zoo.entry import Model
from zoo.errors import ClaimsError, UnknownNameError
from zoo.spreadsheet import guarded, unguarded

# Millions of parameters; 1e9 multiply-adds of one image; images a second; percent.
ClaimedFigure = Literal["params_m", "gflops", "images_per_s", "top1_pct"]
CLAIMED_FIGURES: tuple[ClaimedFigure, ...] = get_args(ClaimedFigure)
# exact: the very weights. architecture: the same network otherwise trained, or without weights.
Match = Literal["exact", "architecture"]


def _split(value: Any) -> Any:
    return tuple(filter(None, value.split(";"))) if isinstance(value, str) else value


def _none_if_empty(value: Any) -> Any:
    return value or None


# Text, because "25.0" claims more digits than "25"; empty where the table prints nothing.
Printed = Annotated[str, Field(pattern=r"^(\d+(\.\d+)?)?$")]
OptionalMatch = Annotated[Match | None, BeforeValidator(_none_if_empty)]
Cells = Annotated[tuple[ClaimedFigure, ...], BeforeValidator(_split)]


class Claim(Model):
    """One figure that a source prints about one network.

    ``entry`` names the network in a manifest (empty: in none); only if ``entry_match`` is
    ``exact`` may accuracies be compared. ``conditions`` say how the source measured, and
    ``single_transcription`` that the figure was copied from its source once, uncontrolled.
    """

    table: str
    position: int
    row: str
    group: str
    entry: str
    entry_match: Match | None
    figure: ClaimedFigure
    printed: Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")]
    img_size: int
    pretrain: str
    dataset: str
    single_transcription: bool
    source: str
    conditions: str
    note: str

    @property
    def value(self) -> float:
        """Return the figure in the unit that its name says."""
        return float(self.printed)

    @property
    def tolerance(self) -> float:
        """Return half of the last printed digit, in the unit of ``value``."""
        exponent = cast(int, Decimal(self.printed).as_tuple().exponent)  # of digits: a number
        return float(Decimal(1).scaleb(exponent) / 2)


class Row(Model):
    """A row of a published table; the fields after ``position`` are the columns of its file.

    ``position`` counts from 1 in the printed order: names repeat in a table, at other sizes.
    ``torchvision_entry`` is a second entry of the same network.
    """

    table: str
    position: int
    row: Annotated[str, Field(min_length=1)]
    group: str
    entry: str
    entry_match: OptionalMatch
    torchvision_entry: str = ""
    torchvision_match: OptionalMatch = None
    params_m: Printed = ""
    gflops: Printed = ""
    images_per_s: Printed = ""
    top1_pct: Printed = ""
    img_size: Annotated[int, Field(gt=0)]
    pretrain: str = ""
    dataset: str = ""
    single_transcription_cells: Cells = ()
    source: Annotated[str, Field(min_length=1)]
    conditions: str = ""
    note: str = ""

    def claims(self) -> tuple[Claim, ...]:
        """Return one claim for each figure that the row prints."""
        shared = {name: getattr(self, name) for name in Claim.model_fields if hasattr(self, name)}
        return tuple(
            Claim(
                **shared,
                figure=figure,
                printed=getattr(self, figure),
                single_transcription=figure in self.single_transcription_cells,
            )
            for figure in CLAIMED_FIGURES
            if getattr(self, figure)
        )


COLUMNS = tuple(name for name in Row.model_fields if name not in ("table", "position"))


def tables() -> dict[str, Path]:
    """Return the published tables that come with zoobench, by name."""
    folder = Path(str(resources.files("zoo") / "published"))
    return {path.stem: path for path in sorted(folder.glob("*.csv"))}


def load_claims(table: str) -> tuple[Claim, ...]:
    """Return all claims of a table, row after row; for the arguments and errors see `load_rows`."""
    return tuple(claim for row in load_rows(table) for claim in row.claims())


def load_rows(table: str) -> tuple[Row, ...]:
    """Return the rows of a table, given by its embedded name or as a CSV file, in printed order.

    Raises:
        ClaimsError: the file cannot be read, or a cell is wrong; names file, line and field.
        UnknownNameError: neither an embedded table nor a file.
    """
    path = tables().get(table) or Path(table)
    if not path.is_file():
        raise UnknownNameError("table of claims (no such file either)", table, tables())
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            _check_header(path, reader.fieldnames or ())
            return tuple(
                _row(path, reader.line_num, position, cells)
                for position, cells in enumerate(reader, start=1)
            )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ClaimsError(f"{path}: cannot be read as CSV: {error}") from None


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as a file that `load_rows` reads; replace an existing file whole or not at all.

    Raises:
        ClaimsError: the file cannot be written.
    """
    partial = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows([_cell(getattr(row, name)) for name in COLUMNS] for row in rows)
        partial.replace(path)
    except OSError as error:
        raise ClaimsError(f"{path}: cannot be written: {error.strerror}") from None


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return guarded(";".join(value))
    return "" if value is None else guarded(str(value))


def _check_header(path: Path, names: Iterable[str]) -> None:
    given = list(names)
    if missing := [name for name in COLUMNS if name not in given]:
        raise ClaimsError(f"{path}: line 1: missing columns: {', '.join(missing)}")
    if unknown := [name for name in given if name not in COLUMNS]:
        raise ClaimsError(
            f"{path}: line 1: no such columns: {', '.join(unknown)}; columns: {', '.join(COLUMNS)}"
        )


def _row(path: Path, line: int, position: int, cells: dict[str | Any, str | Any]) -> Row:
    if None in cells or None in cells.values():
        raise ClaimsError(f"{path}: line {line}: has not {len(COLUMNS)} cells as line 1 has")
    cells = {name: unguarded(cell) for name, cell in cells.items()}
    try:
        return Row.model_validate({**cells, "table": path.stem, "position": position})
    except ValidationError as error:
        problems = "; ".join(
            f"field {item['loc'][0]!r}: {item['msg']} (got {cells[str(item['loc'][0])]!r})"
            for item in error.errors()
        )
        raise ClaimsError(f"{path}: line {line}: {problems}") from None
