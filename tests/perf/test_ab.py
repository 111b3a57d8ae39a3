"""The calibration of ``zoobench ab`` in short: one untouched pair, one planted slow-down."""

from pathlib import Path

from bench.stats import conclude
from tests.perf.calibrate import THRESHOLD, run_once
from tests.perf.planted import make_repository
from zoo.manifest import load


def test_a_planted_slow_down_is_told_from_an_untouched_pair(tmp_path: Path) -> None:
    """A machine too busy to tell them may say so; what it says must never be the opposite."""
    entry = load(str(make_repository(tmp_path))).entries[0]
    verdicts = {
        percent: conclude(run_once(entry, tmp_path, percent)["log_ratios"], THRESHOLD).verdict
        for percent in (0, 10)
    }
    assert verdicts[0] in ("same", "ambiguous")
    assert verdicts[10] in ("slower", "ambiguous")
