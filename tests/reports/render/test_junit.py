"""JUnit's XML is well-formed whatever a message holds, and another library reads the same of it."""

from xml.etree import ElementTree

import junitparser
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.render.junit import Case, render

_CASES = st.builds(
    Case,
    st.text(),
    st.text(),
    st.sampled_from(["passed", "failure", "error", "skipped"]),
    st.text(),
)


@settings(deadline=None)
@given(st.lists(_CASES, max_size=8))
def test_another_library_reads_the_same_outcomes(cases: list[Case]) -> None:
    content = render("gate", cases)
    (suite,) = junitparser.JUnitXml.fromstring(content)
    assert (suite.name, suite.tests) == ("gate", len(cases))
    kinds = {
        "passed": [],
        "failure": [junitparser.Failure],
        "error": [junitparser.Error],
        "skipped": [junitparser.Skipped],
    }
    assert [[type(r) for r in case.result] for case in suite] == [kinds[c.outcome] for c in cases]
    assert suite.errors == sum(case.outcome == "error" for case in cases)
    assert suite.failures == sum(case.outcome == "failure" for case in cases)
    assert ElementTree.fromstring(content).tag == "testsuites"


def test_what_is_said_comes_back() -> None:
    told = 'worse: "a" < b & c, p = 0.01'
    (suite,) = junitparser.JUnitXml.fromstring(render("gate", [Case("a", "b", "failure", told)]))
    (case,) = suite
    assert (case.classname, case.name) == ("a", "b")
    assert case.result[0].message == told


def test_what_turns_the_direction_of_writing_is_shown_as_its_escape() -> None:
    told = "\u202e\x1b[31m\ufffe"
    (suite,) = junitparser.JUnitXml.fromstring(render("gate", [Case("a", "b", "failure", told)]))
    (case,) = suite
    assert case.result[0].message == "\\u202e\\x1b[31m\N{REPLACEMENT CHARACTER}"
