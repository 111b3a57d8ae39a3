"""The calibration of ``zoobench ab`` in short: an untouched network and a planted slow-down."""

from pathlib import Path

from tests.perf.calibrate import judged, run_once
from tests.perf.planted import make_repository


def test_a_planted_slow_down_is_told_from_an_untouched_network(tmp_path: Path) -> None:
    """A machine too busy to tell them may say so; what it says must never be the opposite."""
    rows = run_once(make_repository(tmp_path), 10, budget_s=15)
    verdicts = {percent: judged(row).verdict for percent, row in rows}
    assert verdicts[0] in ("same", "ambiguous")
    assert verdicts[10] in ("slower", "ambiguous")
