"""A sheet as a LaTeX table of the package booktabs; any engine compiles it."""

from collections.abc import Iterable

from reports.render.sheet import Cell, Section, Sheet
from zoo.text import printable

_ESCAPES = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\0": "{}",
    # After \\ a bracket would be its argument.
    "[": "{[}",
    "]": "{]}",
    "–": "--",
    "…": r"\dots{}",
    "≠": r"$\neq$",
    "·": r"$\cdot$",
    "±": r"$\pm$",
    "−": r"$-$",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
}


# More rows than this are no float: they run over pages.
_ROWS_OF_A_PAGE = 50


def render(sheet: Sheet) -> str:
    """Return a table whose document needs the packages booktabs and longtable, and UTF-8 input."""
    kinds = "".join("r" if heading.numeric else "l" for heading in sheet.headings)
    columns = f"{{@{{}}{kinds}@{{}}}}"
    caption = f"\\caption{{{escape('. '.join((sheet.caption, *sheet.header)))}}}"
    head = ["\\toprule", _line(escape(heading.title) for heading in sheet.headings)]
    body = [line for section in sheet.sections for line in _section(section, len(kinds))]
    if sum(len(section.rows) for section in sheet.sections) > _ROWS_OF_A_PAGE:
        lines = [f"{{\\scriptsize\\begin{{longtable}}{columns}", f"{caption} \\\\", *head]
        lines += ["\\endhead", *body, "\\bottomrule", "\\end{longtable}}"]
    else:
        lines = ["\\begin{table}", "\\centering\\scriptsize", caption]
        lines += [f"\\begin{{tabular}}{columns}", *head, *body]
        lines += ["\\bottomrule", "\\end{tabular}", "\\end{table}"]
    notes = [f"% {printable(note)}" for note in sheet.notes]
    return "\n".join(["% needs \\usepackage{booktabs,longtable}", *lines, *notes]) + "\n"


def _section(section: Section, span: int) -> list[str]:
    lines = ["\\midrule"]
    if section.title:
        title = f"\\emph{{{escape(section.title)}}}"
        lines.append(f"\\multicolumn{{{span}}}{{@{{}}l}}{{{title}}} \\\\")
    return lines + [_line(_cell(cell) for cell in row) for row in section.rows]


def escape(text: str) -> str:
    """Return text in which nothing is a command of LaTeX."""
    apart = printable(text).replace("--", "-\0-")  # or they would be a dash
    return "".join(_ESCAPES.get(character, character) for character in apart)


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + " \\\\"


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    return f"\\textbf{{{text}}}" if cell.bold else text
