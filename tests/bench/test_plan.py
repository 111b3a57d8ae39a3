"""A plan has a row for each entry and batch, and measures each thing once."""

from bench.plan import Settings, plan
from zoo.entry import Entry


def test_each_entry_and_batch_is_a_row(lite_entries: tuple[Entry, ...]) -> None:
    jobs = plan(
        lite_entries,
        figures=("top1", "params", "gmacs", "memory", "speed"),
        settings=Settings(),
        batches=[1, 8],
        store="s",
        data=None,
        labels="imagenet",
        limit=None,
        retry_failed=False,
    )
    rows = [(job.entry.name, job.settings.batch_size) for job in jobs]
    assert rows == [(entry.name, batch) for entry in lite_entries for batch in (1, 8)]
    # Memory is read before the accuracy's lanes have used any.
    assert jobs[0].measures == ("complexity", "throughput", "accuracy")
