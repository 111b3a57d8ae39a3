"""What ``make perf`` measured, for asv: nothing is measured again.

asv's own timer neither starts workers with their allocator nor synchronises a device.
"""

import json
import os
from pathlib import Path


def _seconds() -> dict[str, dict[str, float]]:
    """Return median seconds by figure and entry."""
    path = Path(os.environ.get("ZOOBENCH_PERF_JSON", "perf.json"))
    found: dict[str, dict[str, float]] = {}
    for benchmark in json.loads(path.read_text())["benchmarks"]:
        info = benchmark["extra_info"]
        found.setdefault(info["figure"], {})[info["entry"]] = benchmark["stats"]["median"]
    return found


class Perf:
    """Median seconds of a round, by figure and entry."""

    unit = "seconds"
    param_names = ("figure", "entry")
    params = (
        sorted(_seconds()),
        sorted({entry for entries in _seconds().values() for entry in entries}),
    )

    def track_seconds(self, figure: str, entry: str) -> float:
        """Return one of them; asv writes nan for a pair that was not measured."""
        return _seconds()[figure].get(entry, float("nan"))
