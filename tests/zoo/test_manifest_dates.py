"""Embedded manifests date weights by the paper that published their recipe, and agree on it."""

import re

import pytest

from zoo.entry import Entry
from zoo.manifest import embedded, load

# (tag, year, paper): timm's and torchvision's model cards name the paper of each recipe.
RECIPES = (
    (r"augreg_", 2021, "arXiv:2106.10270"),
    (r"a[123]_in1k", 2021, "arXiv:2110.00476"),
    (r"ra_in1k", 2021, "arXiv:2110.00476"),
    (r"ra4_", 2024, "arXiv:2404.10518"),
    (r"gluon_", 2018, "arXiv:1812.01187"),
    (r"IMAGENET1K_SWAG_", 2022, "arXiv:2201.08371"),
)
ENTRIES = [entry for name in embedded() for entry in load(name).entries]
TAGGED = [entry for entry in ENTRIES if entry.weights and entry.weights.tag]


def _recipe(entry: Entry) -> tuple[int, str] | None:
    tag = str(entry.weights.tag) if entry.weights else ""
    return next(((year, paper) for start, year, paper in RECIPES if re.match(start, tag)), None)


@pytest.mark.parametrize("entry", [e for e in TAGGED if _recipe(e)], ids=lambda e: e.name)
def test_weights_are_dated_by_their_recipe(entry: Entry) -> None:
    assert (entry.year, entry.paper) == _recipe(entry)


def test_manifests_agree_on_what_they_share() -> None:
    seen: dict[str, Entry] = {}
    shared = 0
    for entry in ENTRIES:
        other = seen.setdefault(entry.name, entry)
        shared += other is not entry
        assert other.model_dump(exclude={"tags"}) == entry.model_dump(exclude={"tags"})
    assert shared > 20


def test_no_paper_is_newer_than_its_year() -> None:
    for entry in ENTRIES:
        if match := re.match(r"arXiv:(\d\d)\d\d\.", str(entry.paper)):
            assert entry.year == 2000 + int(match[1]), entry.name
