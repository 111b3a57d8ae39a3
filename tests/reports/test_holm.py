"""One level for all p values rejects what Holm's procedure rejects, step by step."""

from hypothesis import given
from hypothesis import strategies as st

from reports.holm import holm_level


def _step_down(p_values: list[float], alpha: float) -> set[int]:
    """Return the places that are rejected, as the paper has it."""
    rejected = set()
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    for step, place in enumerate(order):
        if p_values[place] > alpha / (len(p_values) - step):
            break
        rejected.add(place)
    return rejected


@given(st.lists(st.floats(0, 0.05), max_size=12), st.sampled_from([0.01, 0.05]))
def test_it_is_the_step_down_procedure(p_values: list[float], alpha: float) -> None:
    level = holm_level(p_values, alpha)
    assert {i for i, p in enumerate(p_values) if p <= level} == _step_down(p_values, alpha)


def test_worked_examples() -> None:
    assert holm_level([], 0.01) == 0.01
    assert holm_level([0.02], 0.01) == 0.01
    assert holm_level([0.5, 0.5], 0.01) == 0.005
    assert holm_level([0.004, 0.5], 0.01) == 0.005
    assert holm_level([0.004, 0.009], 0.01) == 0.01
    assert holm_level([0.005, 0.01], 0.01) == 0.01
    assert holm_level([0.01, 0.04, 0.03, 0.005], 0.05) == 0.05 / 3
