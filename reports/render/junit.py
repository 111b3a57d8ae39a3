"""JUnit's XML, as CI systems read it: a suite of cases that pass, fail, err or were skipped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from zoo.text import printable

# error: it could not be checked, though it was asked for.
Outcome = Literal["passed", "failure", "error", "skipped"]
# What XML 1.0 cannot hold, although it can be printed.
_FORBIDDEN = str.maketrans(dict.fromkeys("\ufffe\uffff", "\N{REPLACEMENT CHARACTER}"))


@dataclass(frozen=True)
class Case:
    """One check: ``group`` and ``name`` identify it, ``message`` says why it has its outcome."""

    group: str
    name: str
    outcome: Outcome
    message: str = ""


def render(suite: str, cases: Sequence[Case]) -> bytes:
    """Return a document of one suite, in UTF-8."""
    outcomes = [case.outcome for case in cases]
    totals = {
        "tests": str(len(cases)),
        "failures": str(outcomes.count("failure")),
        "errors": str(outcomes.count("error")),
        "skipped": str(outcomes.count("skipped")),
    }
    root = ElementTree.Element("testsuites", totals)
    element = ElementTree.SubElement(root, "testsuite", {"name": suite, **totals, "time": "0"})
    for case in cases:
        names = {"classname": _clean(case.group), "name": _clean(case.name), "time": "0"}
        one = ElementTree.SubElement(element, "testcase", names)
        if case.outcome != "passed":
            told = {"message": _clean(case.message)}
            ElementTree.SubElement(one, case.outcome, told).text = _clean(case.message)
        elif case.message:
            ElementTree.SubElement(one, "system-out").text = _clean(case.message)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _clean(text: str) -> str:
    return printable(text).translate(_FORBIDDEN)
