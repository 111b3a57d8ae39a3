"""Which row may start where on one machine: plain logic over what is running."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.executors import Placement
from bench.plan import Job, images_of


@dataclass(frozen=True)
class Place:
    """What a row is given: a device, a number of cores (None: all), and whether it is alone."""

    device: str
    cores: int | None
    alone: bool

    def given_to(self, job: Job) -> Job:
        """Return the job as it runs here."""
        settings = job.settings.model_copy(update={"device": self.device})
        return job.model_copy(
            update={"settings": settings, "cores": self.cores, "alone": self.alone}
        )


def choose(
    waiting: Sequence[Job], running: Sequence[Job], placement: Placement, cores: int
) -> tuple[Job, Place] | None:
    """Return the next row to start and where, or None if all have to wait.

    It is the first that may start; better, the first whose images no running row evaluates, since
    two that decode the same images at the same time cannot share the pixels.
    """
    busy = {images_of(job) for job in running if "top1" in job.figures}
    first = None
    for job in waiting:
        if place := place_for(job, running, placement, cores):
            if "top1" not in job.figures or images_of(job) not in busy:
                return job, place
            first = first or (job, place)
    return first


def place_for(job: Job, running: Sequence[Job], placement: Placement, cores: int) -> Place | None:
    """Return where a row may start now, or None if it has to wait.

    Args:
        job: the row.
        running: the rows under way, as their places were given to them.
        placement: the devices, and how many rows may share the CPU.
        cores: how many the machine has.
    """
    device = placement.devices[0]
    counting = [other.only_counts for other in running]
    if job.only_counts:
        free = len(running) < cores and all(counting)
        return Place(device, None, alone=False) if free else None
    if any(counting):
        return None
    if len(placement.devices) > 1:
        return _on_a_free_device(running, placement, cores)
    if job.is_timed or placement.workers == 1:
        return None if running else Place(device, None, alone=True)
    if len(running) >= placement.workers or any(other.is_timed for other in running):
        return None
    return Place(device, max(1, cores // placement.workers), alone=False)


def _on_a_free_device(running: Sequence[Job], placement: Placement, cores: int) -> Place | None:
    taken = {other.settings.device for other in running}
    free = [device for device in placement.devices if device not in taken]
    share = max(1, cores // len(placement.devices))
    return Place(free[0], share, alone=False) if free else None
