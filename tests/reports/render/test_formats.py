"""A format changes how a table looks, never what it says, and never runs what stands in it."""

import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reports.render import SHEET_FORMATS, html, latex, markdown, terminal
from reports.render.sheet import ABSENT, Cell, Heading, Section, Sheet, best_of, number

NASTY = r"a_b & 50% <b>$x^2$</b> | \rm {~#} -- [1] ≠ · –"
SHEET = Sheet(
    caption=NASTY,
    header=("on cpu",),
    headings=(Heading("row", numeric=False), Heading("top-1 %"), Heading("", label="verdict")),
    sections=(
        Section("First", ((Cell(NASTY), Cell("1.0"), Cell("=")),)),
        Section("Second", ((Cell("[x]"), Cell("2.0", bold=True), Cell("≠")),)),
    ),
    notes=(NASTY, "a\nb"),
)
DOCUMENT = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage{booktabs,longtable}
\begin{document}
%s\end{document}
"""


class _Tags(HTMLParser):
    """Collects start tags with their attributes, and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_is_escaped_balanced_and_says_what_heads_what() -> None:
    page = _Tags()
    page.feed(html.render(SHEET))
    assert page.open == []
    assert NASTY in page.text
    names = [name for name, _ in page.tags]
    assert "b" not in names
    assert names.count("tbody") == 2
    assert "caption" in names
    assert names.count("strong") == 1
    scopes = [attributes.get("scope") for name, attributes in page.tags if name == "th"]
    assert scopes == ["col"] * 3 + ["rowgroup", "row"] * 2
    assert page.tags[names.index("td")][1] == {"style": "text-align: right"}
    assert any(attributes.get("aria-label") == "verdict" for _, attributes in page.tags)


def test_markdown_has_as_many_cells_in_every_row() -> None:
    lines = [line for line in markdown.render(SHEET).splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in lines} == {4}
    assert "**2.0**" in lines[-1]


def test_latex_separates_groups_and_prints_the_best_in_bold() -> None:
    text = latex.render(SHEET)
    assert text.count("\\midrule") == 2
    assert "\\textbf{2.0}" in text
    assert "a\\_b \\& 50\\% " in text
    assert "% a b\n" in text  # a note is one comment, whatever it holds


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize("copies", [1, 60])
def test_latex_compiles(tmp_path: Path, copies: int) -> None:
    """In a float, and over pages."""
    from dataclasses import replace

    many = replace(SHEET, sections=SHEET.sections * copies)
    (tmp_path / "t.tex").write_text(DOCUMENT % latex.render(many), encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_terminal_prints_brackets_as_they_are() -> None:
    text = terminal.render(SHEET, width=80)
    assert "[x]" in text
    assert "First" in text


def test_every_format_is_there() -> None:
    modules = {module.__name__ for module in (html, latex, markdown, terminal)}
    assert set(SHEET_FORMATS.values()) == modules


def test_rounding_is_of_the_raw_figure_and_absence_is_a_dash() -> None:
    assert number(25_557_032, scale=1e-6, digits=2) == "25.56"
    assert number(None, digits=2) == ABSENT
    assert number(0, digits=3) == "0.000"
    assert number(416_520, scale=1e-9, digits=3) == "0.00042"  # LeNet-5 is not free


def test_the_best_is_bold_only_among_others() -> None:
    assert best_of([1.0, None, 3.0, 3.0], "high") == {2, 3}
    assert best_of([1.0, None, 3.0], "low") == {0}
    assert best_of([2.0, 2.0], "high") == set()
    assert best_of([1.0, 2.0], None) == set()
