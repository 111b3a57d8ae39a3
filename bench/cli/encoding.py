"""What is written for characters that a terminal's encoding does not have."""

import codecs

# The error handler's name, for ``errors=``.
IN_ASCII = "zoobench.ascii"
_ASCII = {
    "…": "...",
    "–": "-",
    "−": "-",
    "─": "-",
    "━": "-",
    "│": "|",
    "→": "->",
    "×": "x",
    "·": "|",
    "±": "+-",
    "≤": "<=",
    "≥": ">=",
    "’": "'",
    "“": '"',
    "”": '"',
}


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Return a likeness for typographic characters, and Python's escape for all others."""
    assert isinstance(error, UnicodeEncodeError)
    wanted = error.object[error.start : error.end]
    likenesses = (
        _ASCII.get(character) or character.encode("ascii", "backslashreplace").decode()
        for character in wanted
    )
    return "".join(likenesses), error.end


codecs.register_error(IN_ASCII, _in_ascii)
