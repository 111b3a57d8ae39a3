"""A format changes how a table looks, never what it says, and never runs what stands in it."""

import csv
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reports.baseline import load_csv
from reports.render import SHEET_FORMATS, html, latex, markdown, render, terminal
from reports.render.sheet import ABSENT, Cell, Heading, Section, Sheet, best_of, number
from zoo.spreadsheet import guarded, unguarded
from zoo.text import printable

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


ESCAPES = ("\x1b[31m", "\x1b]0;title\x07", "\x9b2J", "\r", "\x00", "\u202e", "\u2028", "\n", "\t")
ATTACKS = (
    "[here](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "[x][1]",
    "[1]: https://evil.example",
    "<https://evil.example>",
    "https://evil.example",
    "www.evil.example",
    "<script>alert(1)</script>",
    "&lt;b&gt;&#91;",
    "`code`",
    "**bold** *it* __bold__ _it_ ~~gone~~",
    "# heading",
    "- list",
    "+ list",
    "1. list",
    "12) list",
    "> quoted",
    "===",
    "---",
    "[ ] box",
    "a | b",
    "a\\",
    "a\\| b",
    "    code",
    "$x$",
)


def _sheet_of(text: str) -> Sheet:
    """Return a sheet that has a text in all places that take one."""
    row = (Cell(text), Cell(text, bold=True), Cell(text))
    headings = tuple(Heading(text) for _ in row)
    return Sheet(text, (text, text), headings, (Section(text, (row,)),), (text, f"a {text}"))


def _texts(page: str) -> tuple[set[str], list[str]]:
    """Return the kinds of all inline tokens of Markdown, and the text of each block."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    kinds, texts = set(), []
    for token in parser.parse(page):
        kinds.add(token.type)
        if token.type == "inline":
            kinds |= {child.type for child in token.children or ()}
            parts = token.children or ()
            texts.append("".join(" " if c.type == "hardbreak" else c.content for c in parts))
    return kinds, texts


HARMLESS = {
    *("inline", "text", "hardbreak", "strong_open", "strong_close"),
    *("paragraph_open", "paragraph_close"),
    *("table_open", "table_close", "thead_open", "thead_close", "tbody_open", "tbody_close"),
    *("tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close"),
    *("bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"),
}


def _is_plain(text: str) -> None:
    """Assert that Markdown shows a text as it is, wherever it is."""
    kinds, texts = _texts(markdown.render(_sheet_of(text)))
    assert kinds <= HARMLESS, kinds - HARMLESS
    shown = " ".join(printable(text).split())
    assert sum(" ".join(part.split()) == shown for part in texts) >= 8, texts


@pytest.mark.parametrize("text", ATTACKS)
def test_markdown_shows_what_would_be_markup_as_it_is(text: str) -> None:
    _is_plain(text)


@settings(deadline=None, max_examples=300)
@given(st.text("ab1 []()!<>*_~`#-+=|\\&;:/.@$'\"", min_size=1, max_size=12))
def test_markdown_shows_any_text_as_it_is(text: str) -> None:
    if text.strip() and "@" not in text and "](" not in text:
        _is_plain(text.strip())


def test_markdown_makes_no_link_of_a_bare_address_and_names_no_person() -> None:
    text = markdown.render(_sheet_of("https://a.example www.b.example WWW.c.example @somebody"))
    for link in ("https://", "www.", "WWW.", "@somebody"):
        assert link not in text


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize("form", SHEET_FORMATS)
def test_no_format_has_what_a_terminal_obeys_or_breaks_a_line(form: str, escape: str) -> None:
    sheet = _sheet_of(f"a{escape}b")
    text = render(pd.DataFrame(), lambda frame: sheet, form).decode()
    plain = render(pd.DataFrame(), lambda frame: _sheet_of("a b"), form).decode()
    assert not set(text) & set("\x1b\x07\x9b\r\x00\u202e\u2028\t")
    assert form == "terminal" or text.count("\n") == plain.count("\n")  # a terminal folds


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n@", "＝", "'=", "''@"])
def test_csv_has_no_formula_and_is_read_back(start: str, tmp_path: Path) -> None:
    name = f'{start}HYPERLINK("https://evil.example")'
    frame = pd.DataFrame({"entry": [name, "b", None], "images_per_s": [-0.5, 0.5, None]})
    frame = frame.astype({"entry": "string", "images_per_s": "Float64"})
    path = tmp_path / "report.csv"
    path.write_bytes(render(frame, lambda frame: SHEET, "csv"))
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["entry"].lstrip()[0] not in "=+-@\t\r\n＝"
    assert rows[0]["images_per_s"] == "-0.5"  # a number stays one
    assert load_csv(path)["entry"].tolist()[:2] == [printable(name), "b"]


@given(st.text())
def test_a_guarded_cell_comes_back(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert guarded(text)[:1] not in set("=+-@\t\r\n")


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
