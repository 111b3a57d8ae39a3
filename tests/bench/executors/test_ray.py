"""The same plan on a Ray cluster: each row once, also when a node dies in the middle."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.executors import Placement, ray
from bench.executors.ray import _Shares
from bench.plan import Job, Settings, plan
from bench.records import Figure
from bench.shards import whole_records
from bench.store import Store
from tests.command import call
from zoo.entry import Entry
from zoo.errors import MissingExtraError, ZoobenchError

CPU_NODE = {"CPU": 8.0, "memory": 64e9}
GPU_NODE = {"CPU": 16.0, "GPU": 4.0, "memory": 256e9}


def _job(*figures: Figure) -> Job:
    (job,) = plan(
        [Entry(name="a", source="timm", architecture="resnet18")],
        figures=figures,
        settings=Settings(),
        batches=[None],
        store="s",
        data=None,
        labels="imagenet",
        limit=None,
        retry_failed=False,
    )
    return job


@pytest.mark.parametrize(
    ("nodes", "placement", "figure", "expected"),
    [
        ([CPU_NODE], Placement(), "speed", (8, 0, 64e9, True)),
        ([CPU_NODE], Placement(), "top1", (8, 0, 64e9, True)),
        ([CPU_NODE], Placement(workers=4), "top1", (2, 0, 16e9, False)),
        ([CPU_NODE], Placement(workers=4), "speed", (8, 0, 64e9, True)),
        ([CPU_NODE], Placement(), "params", (1, 0, 8e9, False)),
        # The smallest node is the measure; the larger has room for two, which disturb each other.
        ([CPU_NODE, {"CPU": 16.0, "memory": 64e9}], Placement(), "top1", (8, 0, 64e9, False)),
        ([{"memory": 1e9}, CPU_NODE], Placement(), "top1", (8, 0, 64e9, True)),
        ([CPU_NODE, GPU_NODE], Placement(), "top1", (4, 1, 64e9, False)),
        ([CPU_NODE, GPU_NODE], Placement(), "params", (1, 0, 16e9, False)),
        ([CPU_NODE, GPU_NODE], Placement(devices=("cpu",)), "top1", (8, 0, 64e9, False)),
        ([{**GPU_NODE, "GPU": 1.0}], Placement(devices=("cuda",)), "top1", (16, 1, 256e9, True)),
    ],
)
def test_a_row_asks_for_its_share_of_a_node(
    nodes: list[dict[str, float]],
    placement: Placement,
    figure: Figure,
    expected: tuple[int, int, float, bool],
) -> None:
    shares = _Shares.of(nodes, placement)
    place = shares.place(_job(figure))
    asked = shares.resources(place)
    found = (asked["num_cpus"], asked["num_gpus"], asked["memory"], place.alone)
    assert found == expected
    assert place.device == ("cuda" if expected[1] else "cpu")


@pytest.mark.parametrize(
    ("nodes", "placement", "message"),
    [
        ([CPU_NODE], Placement(devices=("cuda",)), "no node of the Ray cluster has a GPU"),
        ([GPU_NODE], Placement(devices=("cuda:0", "cuda:1")), "give --device cuda"),
        ([GPU_NODE], Placement(workers=2), "--workers is for a CPU"),
        ([CPU_NODE], Placement(workers=9), "fewer --workers"),
        ([{"memory": 1e9}], Placement(), "no node of the Ray cluster has a CPU"),
    ],
)
def test_what_the_cluster_does_not_have_is_told(
    nodes: list[dict[str, float]], placement: Placement, message: str
) -> None:
    with pytest.raises(ZoobenchError, match=message):
        _Shares.of(nodes, placement)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, lite0: Entry) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"zoobench\[cluster\]"):
        ray.check([lite0], Settings(), Placement(), where="zoo.toml")


def test_an_address_where_no_cluster_answers_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, lite0: Entry
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")  # nobody listens there any more
    with pytest.raises(ZoobenchError, match=rf"{port}: no Ray cluster answers there.*unset it"):
        ray.check([lite0], Settings(), Placement(), where="zoo.toml")


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head that measures nothing, and two nodes of one core."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False}
    started = Cluster(initialize_head=True, head_node_args=head)
    yield started, [started.add_node(num_cpus=1) for _ in range(2)]
    started.shutdown()


def test_a_node_that_dies_in_the_middle_costs_nothing(tmp_path: Path, cluster: Any) -> None:
    started, nodes = cluster
    words = ["run", "*lite0", "--figures", "params,top1", "--limit", "8", "--batch", "2"]
    code = "from bench.cli.main import main; main()"
    run = subprocess.Popen(
        [sys.executable, "-c", code, *words, "--shards", "4", "--executor", "ray"],
        cwd=tmp_path,
        env={**os.environ, "RAY_ADDRESS": started.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stderr is not None
    told = ""
    for line in run.stderr:
        told += line
        if "measuring" in line:
            _kill_one_that_measures(nodes)
            break
    out, rest = run.communicate()
    assert run.returncode == 0, told + rest
    assert "2 nodes for rows on cpu, one at a time on each" in told
    assert "begun anew: its node or process died" in rest
    assert out.startswith("cpu: ")  # Ray's own words about the node are not among the results
    store = Store(str(tmp_path / "zoobench-results"))
    measured = [(r.measure, r.key.shard and r.key.shard.index) for _, r in store.records()]
    assert sorted(measured, key=str) == [
        *(("accuracy", index) for index in (1, 2, 3, 4)),
        ("complexity", None),
    ]
    assert {r.status for _, r in whole_records(store)} == {"measured"}
    _is_equal_to_a_run_on_this_machine(store, tmp_path / "local", words)


def _kill_one_that_measures(nodes: list[Any]) -> None:
    """Kill a node's raylet, below which a task's fork server has a row."""
    raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
    for raylet in raylets:
        if any(_children(server) for task in _children(raylet) for server in _children(task)):
            os.kill(raylet, signal.SIGKILL)
            return
    raise AssertionError(f"no row is measured below {raylets}")


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_equal_to_a_run_on_this_machine(store: Store, other: Path, words: list[str]) -> None:
    from reports import load_frame

    assert call(*words, "--store", str(other)) == 0
    columns = ["params", "macs", "images", "top1", "top5", "content_sha256"]
    assert load_frame(store.url)[columns].equals(load_frame(str(other))[columns])
