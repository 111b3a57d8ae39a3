"""What the operating system counts of this process while steps are timed."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

from bench.records import HostUse


class HostWatch:
    """Page faults, switches and processor seconds of all threads of this process.

    Page faults tell whether the allocator gives memory back at every step, involuntary switches
    whether others wanted the cores. It reads twice, and costs the steps between nothing.
    """

    use: HostUse | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Fill ``use`` with what happens inside the context."""
        before = resource.getrusage(resource.RUSAGE_SELF)
        yield
        after = resource.getrusage(resource.RUSAGE_SELF)
        self.use = HostUse(
            user_s=after.ru_utime - before.ru_utime,
            system_s=after.ru_stime - before.ru_stime,
            minor_faults=after.ru_minflt - before.ru_minflt,
            involuntary_switches=after.ru_nivcsw - before.ru_nivcsw,
        )
