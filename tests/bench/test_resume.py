"""What a kill, or a second run at once, leaves behind is gone on from: no row lost, none twice."""

import random
from collections import Counter
from pathlib import Path

from bench.shards import whole_records
from bench.store import Store
from reports import load_frame
from tests.command import call
from tests.perf import kill


def test_runs_and_workers_killed_at_random_lose_nothing(tmp_path: Path) -> None:
    """The short form of ``tests/perf/kill.py``."""
    random.seed()
    reference, store = tmp_path / "undisturbed", tmp_path / "killed"
    assert call(*kill.LOCAL, "--store", str(reference)) == 0
    for victim in (kill.kill_run, kill.kill_worker):
        outcomes, _ = kill.one_run(kill.LOCAL, store, victim)
        assert not any(outcome.faults for outcome in outcomes), outcomes
    before = kill.snapshot(store)
    assert call(*kill.LOCAL, "--store", str(store)) == 0
    assert kill.lost(before) == []
    assert kill.faults(store, reference) == []


def test_two_runs_at_once_on_one_store_do_no_harm(tmp_path: Path) -> None:
    """Either may measure what the other is measuring; the figures are there once."""
    store = tmp_path / "shared"
    words = ["run", "*lite0", "--figures", "params,top1", "--limit", "6", "--shards", "2"]
    runs = [kill.start(words, store), kill.start(words, store)]
    assert [run.wait() for run in runs] == [0, 0], store.with_suffix(".log").read_text()
    found = Counter(record.measure for _, record in Store(str(store)).records())
    assert found["complexity"] in (1, 2)
    assert found["accuracy"] in (2, 3, 4)
    assert {record.status for _, record in whole_records(Store(str(store)))} == {"measured"}
    frame = load_frame(str(store))
    assert frame["images"].tolist() == [6]
