"""Rows on a Ray cluster: a task each, which measures its row as ``local`` does on one machine.

Ray places the tasks, and begins them anew where a node or a task's process dies. What is left to
the task is what one machine has to do anyway: a process for the row, its timeout, its crash. So a
network that crashes is a failed row, as everywhere, and no reason for Ray to try again.
"""

import io
import os
import secrets
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.executors import Listener, Placement, local
from bench.executors.ledger import Ledger
from bench.executors.places import Place
from bench.plan import Job, Settings
from bench.records import REFERENCE_DECODER
from bench.store import Store
from zoo.entry import Entry
from zoo.errors import (
    InterruptedRunError,
    MissingExtraError,
    StoreError,
    ZoobenchError,
    first_line,
)

# How often Ray begins a task anew whose node or process died, before the row counts as failed.
_RETRIES = 3
_POLL_S = 0.5
_CONNECT_S = 10.0
# Progress crosses the network: no more often than a reader can follow.
_PROGRESS_EVERY_S = 1.0
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # rows say which device they mean
}


def check(
    entries: Sequence[Entry], settings: Settings, placement: Placement, *, where: str
) -> str | None:
    """Join the cluster, and check the entries on this machine; return which cluster it is.

    Raises:
        MissingExtraError: Ray is not installed.
        ZoobenchError: no such cluster or device, or what ``local.check`` finds.
    """
    note = _join()
    shares = _Shares.of(_nodes(), placement)
    if shares.device == "cuda":  # what only a GPU has is for the nodes to check
        settings = settings.model_copy(update={"precision": "fp32", "decoder": REFERENCE_DECODER})
    local.check(entries, settings, Placement(devices=("cpu",)), where=where)
    return f"{note}: {shares}"


def run(
    jobs: Sequence[Job],
    *,
    placement: Placement,
    timeout_s: float | None,
    listen: Listener,
) -> bool:
    """Measure the rows on the cluster; return whether every one of them was measured.

    Raises:
        StoreError: results cannot be kept, or a node does not see the store.
        InterruptedRunError: Ctrl-C.
        ZoobenchError: the cluster went away.
    """
    # Ray tells of dead nodes on standard output, which is the results'; ledgers tell it better. It
    # may do so until it is shut down.
    with redirect_stdout(io.StringIO()):
        return _run(jobs, placement, timeout_s, listen)


def _run(
    jobs: Sequence[Job], placement: Placement, timeout_s: float | None, listen: Listener
) -> bool:
    import ray

    try:
        with _marked(jobs) as mark:
            shares = _Shares.of(_nodes(), placement)
            return _Run(jobs, shares, mark, timeout_s, listen).finish()
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "interrupted; what is measured is kept, and the same command goes on from here"
        ) from None
    except (ray.exceptions.RaySystemError, ray.exceptions.ActorDiedError) as error:
        raise ZoobenchError(
            f"the Ray cluster went away: {first_line(error)}; what is measured is kept, and the "
            "same command goes on from here"
        ) from None
    finally:
        ray.shutdown()


def _join() -> str:
    """Connect to the cluster that Ray's conventions name, or start one here; return which."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError:
        raise MissingExtraError("--executor ray", "ray", "cluster") from None
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _check_answers(address)
    try:
        ray.init(address=address or "auto", **quiet)
    except ConnectionError as error:
        if address:
            raise _no_cluster(address, error) from None
        ray.init(address="local", include_dashboard=False, **quiet)
        return "no Ray cluster is running, so one was started on this machine"
    return f"on the Ray cluster at {ray.get_runtime_context().gcs_address}"


def _no_cluster(address: str, error: OSError) -> ZoobenchError:
    return ZoobenchError(
        f"RAY_ADDRESS={address}: no Ray cluster answers there: {first_line(error)}; unset it to "
        "find or start one"
    )


def _check_answers(address: str) -> None:
    """Raise ZoobenchError if nothing listens at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if "://" in address or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
    except OSError as error:
        raise _no_cluster(address, error) from None


def _nodes() -> list[dict[str, float]]:
    """Return the resources of the cluster's living nodes."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


@dataclass(frozen=True)
class _Shares:
    """What a row is given of a node: on a CPU all or one of ``workers`` parts, else one GPU.

    Sizes are those of the smallest node, so that a row fits on any of them.
    """

    device: str
    nodes: int
    node_cpus: int
    node_memory: int
    rows: int  # at once on a node
    gpus: int  # of a row
    alike: bool  # no node has room for more rows than that

    @classmethod
    def of(cls, nodes: Sequence[Mapping[str, float]], placement: Placement) -> "_Shares":
        """Return the shares of a cluster whose nodes have such resources, as Ray names them.

        Raises:
            ZoobenchError: it has no such devices, or too few cores for so many workers.
        """
        with_gpu = [node for node in nodes if node.get("GPU", 0) >= 1]
        device = _device(placement, has_gpu=bool(with_gpu))
        nodes = with_gpu if device == "cuda" else [n for n in nodes if n.get("CPU", 0) >= 1]
        if not nodes:
            raise ZoobenchError("no node of the Ray cluster has a CPU to give")
        cpus = [int(node.get("CPU", 0)) for node in nodes]
        gpus = [int(node.get("GPU", 0)) for node in nodes]
        rows = max(gpus) if device == "cuda" else placement.workers
        if rows > min(cpus):
            raise ZoobenchError(f"{rows} rows on a node of {min(cpus)} cores; give fewer --workers")
        return cls(
            device=device,
            nodes=len(nodes),
            node_cpus=min(cpus),
            node_memory=int(min(node.get("memory", 0) for node in nodes)),
            rows=rows,
            gpus=1 if device == "cuda" else 0,
            alike=max(cpus) < 2 * min(cpus),
        )

    def __str__(self) -> str:
        at_once = f"{self.rows} at once" if self.rows > 1 else "one at a time"
        nodes = "1 node" if self.nodes == 1 else f"{self.nodes} nodes"
        return f"{nodes} for rows on {self.device}, {at_once} on each"

    def place(self, job: Job) -> Place:
        """Return the place of a job."""
        if job.only_counts:
            return Place("cpu", 1, alone=False)
        whole = self.rows == 1 or (job.is_timed and self.device == "cpu")
        cores = self.node_cpus if whole else self.node_cpus // self.rows
        return Place(self.device, cores, alone=whole and self.alike)

    def resources(self, place: Place) -> dict[str, Any]:
        """Return what to ask Ray for."""
        cores = place.cores or self.node_cpus
        return {
            "num_cpus": cores,
            "num_gpus": self.gpus if place.device == "cuda" else 0,
            "memory": self.node_memory * cores // self.node_cpus,
        }


def _device(placement: Placement, *, has_gpu: bool) -> str:
    name = placement.devices[0]
    if len(placement.devices) > 1 or ":" in name:
        raise ZoobenchError(
            f"--device {','.join(placement.devices)}: Ray chooses the GPU; give --device cuda"
        )
    if name == "auto":
        name = "cuda" if has_gpu else "cpu"
    if name == "cuda" and not has_gpu:
        raise ZoobenchError("--device cuda: no node of the Ray cluster has a GPU")
    if name == "cuda" and placement.workers > 1:
        raise ZoobenchError("--workers is for a CPU: a GPU measures one row at a time")
    return name


@contextmanager
def _marked(jobs: Sequence[Job]) -> Iterator[str]:
    """Leave a file in the store by which a node can tell that it sees the same one."""
    mark = f".run-{secrets.token_hex(8)}"
    stores = [Store(url) for url in {job.store for job in jobs}]
    for store in stores:
        store.write_report(mark, b"")
    try:
        yield mark
    finally:
        for store in stores:
            store.remove(mark)


class _Run:
    """The tasks of a run, and what they have told."""

    def __init__(
        self,
        jobs: Sequence[Job],
        shares: _Shares,
        mark: str,
        timeout_s: float | None,
        listen: Listener,
    ) -> None:
        import ray
        from ray.util.queue import Queue
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._events = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
        self._ledgers = [Ledger(job, listen) for job in jobs]
        self._begun: set[int] = set()
        self._tasks: dict[Any, int] = {}
        for number, job in enumerate(jobs):
            place = shares.place(job)
            task = ray.remote(_measure).options(
                max_retries=_RETRIES, name=f"zoobench {job.entry.name}", **shares.resources(place)
            )
            about = (number, place.given_to(job), str(Path.cwd()), mark, timeout_s)
            self._tasks[task.remote(*about, self._events)] = number

    def finish(self) -> bool:
        """Wait for all tasks, and return whether all went well."""
        import ray

        all_well = True
        while self._tasks:
            done, _ = ray.wait(list(self._tasks), timeout=_POLL_S)
            self._hear()
            for task in done:
                all_well &= self._close(task)
        return all_well

    def _hear(self) -> None:
        if count := self._events.size():
            for number, event in self._events.get_nowait_batch(count):
                if event["event"] == "begun":
                    if number not in self._begun:
                        self._begun.add(number)
                        continue
                    event = {"event": "begun_anew"}
                self._ledgers[number].hear(event)

    def _close(self, task: Any) -> bool:
        import ray

        ledger = self._ledgers[self._tasks.pop(task)]
        reason = ""
        try:
            ledger.hear(ray.get(task))
        except ray.exceptions.RayError as error:
            reason = f"the Ray task died {_RETRIES + 1} times: {first_line(error)}"
        return ledger.close(reason)


def _measure(
    number: int, job: Job, folder: str, mark: str, timeout_s: float | None, events: Any
) -> dict[str, Any]:
    """Measure one row on a node; its events go to the queue. Return the last of them."""
    _become_plain_process(folder)
    if not Store(job.store).holds(mark):
        node = os.uname().nodename
        reason = f"{job.store}: node {node} does not see this store; give a shared path or a URL"
        return {"event": "store_failed", "reason": reason}
    events.put((number, {"event": "begun"}))
    told = 0.0

    def listen(_: Job, event: dict[str, Any]) -> None:
        nonlocal told
        now = time.monotonic()
        if event["event"] != "progress" or now - told >= _PROGRESS_EVERY_S:
            told = now
            events.put((number, event))

    try:
        local.run_placed(job, timeout_s=timeout_s, listen=listen)
    except StoreError as error:
        return {"event": "store_failed", "reason": str(error)}
    return {"event": "done"}


def _become_plain_process(folder: str) -> None:
    """Take the user's folder, for relative paths, and hide Ray's own script from row processes.

    multiprocessing would run the script anew in each of them, and import all of Ray.
    """
    with suppress(FileNotFoundError):
        os.chdir(folder)
    sys.modules["__main__"] = ModuleType("__main__")
