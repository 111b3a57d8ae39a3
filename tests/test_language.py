"""README, CHANGELOG, CONTRIBUTING and docs/ contain no banned phrase outside code."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]

_STORED = "is in, is stored in, contains"
_PRINTED = "prints, logs, reports, warns, records, states"
_NOT = "not a …, or: without …"

# Each phrase, and what to write in its place.
BANNED = (
    ("tell", _PRINTED),
    ("tells", _PRINTED),
    ("told", _PRINTED),
    ("say", _PRINTED),
    ("says", _PRINTED),
    ("said", _PRINTED),
    ("speak", _PRINTED),
    ("speaks", _PRINTED),
    ("spoke", _PRINTED),
    ("hear", "receives"),
    ("hears", "receives"),
    ("heard", "received"),
    ("lie", _STORED),
    ("lies", _STORED),
    ("stand", _STORED),
    ("stands", _STORED),
    ("stood", _STORED),
    ("hold", _STORED),
    ("holds", _STORED),
    ("held", _STORED),
    ("carry", _STORED),
    ("carries", _STORED),
    ("is no", _NOT),
    ("are no", _NOT),
    ("was no", _NOT),
    ("were no", _NOT),
    ("so many", "N …, the number of …"),
    ("so much", "the amount of …"),
    ("mend", "fix"),
    ("mends", "fixes"),
    ("mended", "fixed"),
    ("anew", "again; recreate, restart"),
    ("amiss", "wrong; name the fault"),
    ("dear", "expensive, slow"),
    ("beside", "next to, in addition to"),
    ("alike", "equal, similar, both"),
    ("elsewhere", "name the place; in other …"),
    ("as it is", "unchanged; as …"),
    ("figure", "metric, number, value"),
    ("figures", "metrics, numbers, values"),
    ("an image's", "the image's, per image"),
    ("a row a", "one row per"),
    ("images a", "images per"),
    ("pages a", "pages per"),
    ("ms a", "ms per"),
    ("time an", "time per"),
    ("seconds a", "seconds per"),
    ("line an", "one line per"),
)


def _prose(markdown: str) -> str:
    """Return the text with code, link targets and page names masked, each line in its position."""
    code = r"^```.*?^```|`(?:[^`\n]|\n(?!\n))+`|\]\([^)]*\)|[\w/]+\.md\b"
    flags = re.DOTALL | re.MULTILINE
    return re.sub(code, lambda match: re.sub(r"[^\n]", "·", match[0]), markdown, flags=flags)


def banned_phrases(name: str, markdown: str) -> Iterator[str]:
    """Yield a line for each banned phrase: file, line, phrase and replacement."""
    prose = _prose(markdown)
    for phrase, replacement in BANNED:
        words = r"\s+".join(phrase.split())
        for match in re.finditer(rf"(?<![\w-]){words}(?![\w-])", prose, re.IGNORECASE):
            line = prose.count("\n", 0, match.start()) + 1
            yield f"{name}:{line}: {phrase!r}: write {replacement}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_page_has_no_banned_phrase(page: Path) -> None:
    if found := list(banned_phrases(str(page.relative_to(ROOT)), page.read_text())):
        pytest.fail("\n".join(found), pytrace=False)


@pytest.mark.parametrize(("phrase", "replacement"), BANNED, ids=[phrase for phrase, _ in BANNED])
def test_banned_phrase_is_reported_with_its_position(phrase: str, replacement: str) -> None:
    expected = [f"page.md:2: {phrase!r}: write {replacement}"]
    assert list(banned_phrases("page.md", f"Title\nx {phrase} y\n")) == expected
    assert list(banned_phrases("page.md", f"Title\n{phrase.title()}.\n")) == expected


def test_phrase_across_two_lines_is_found() -> None:
    assert list(banned_phrases("page.md", "`code`\nIt is\nno list.\n")) == [
        f"page.md:2: 'is no': write {_NOT}"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "`told`",
        "`zoobench\ntold`",
        "```\nIt is no list.\n```",
        "```console\n$ zoobench told\n```",
        "[docs/figures.md](docs/figures.md)",
        "is `x` no",
        "threshold, upholds, told_to, stand-alone",
    ],
)
def test_code_link_targets_and_longer_words_are_allowed(text: str) -> None:
    assert not list(banned_phrases("page.md", f"a\n{text}\nb\n"))


def test_prose_between_two_code_blocks_is_checked() -> None:
    assert list(banned_phrases("page.md", "```\na\n```\ntold\n```\nb\n```\n")) == [
        f"page.md:4: 'told': write {_PRINTED}"
    ]
