"""What changed between two keys, as a reader wants it: "resize 256 → 248", not two long lines."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

from reports.match import Difference

_VALUE = re.compile(r"[\d.,/x-]+")


def described(differences: Iterable[Difference]) -> str:
    """Return all differences, the base's value first."""
    return "; ".join(_described(difference) for difference in differences)


def _described(difference: Difference) -> str:
    base, head = (_short(value) for value in (difference.base, difference.head))
    if difference.field == "preprocess":
        return f"preprocess: {', '.join(_changed_parts(base, head))}"
    return f"{difference.field} {base} → {head}"


def _changed_parts(base: str, head: str) -> Iterable[str]:
    """Yield the parts of two descriptions that differ; a part is a word and the values after it."""
    old, new = _parts(base), _parts(head)
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield _change(" ".join(old[a:b]), " ".join(new[c:d]))


def _change(base: str, head: str) -> str:
    """Return a changed part, with a name that both have said once."""
    name, _, value = base.partition(" ")
    other, _, now = head.partition(" ")
    if value and now and name == other:
        return f"{base} → {now}"
    return f"{base or 'nothing'} → {head or 'nothing'}"


def _parts(text: str) -> list[str]:
    parts: list[str] = []
    for word in text.split():
        if parts and _VALUE.fullmatch(word):
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    return parts


def _short(value: object) -> str:
    text = "not stated" if value is None else str(value)
    return text[:8] if re.fullmatch("[0-9a-f]{64}", text) else text
