"""A Ray cluster on this machine: a head that runs nothing and two nodes of one CPU; and how one of them is lost."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import ray
from ray.cluster_utils import Cluster

from knowpack import store


class Killed(NamedTuple):
    """What was going on when a node was killed."""

    n_done: int
    running: str
    """The cell that ran on it."""


@contextmanager
def two_nodes() -> Iterator[Cluster]:
    """Up inside the block."""
    head = {"num_cpus": 0, "include_dashboard": False, "wait": False}  # it would wait for 30 s
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, wait=False)
        cluster.wait_for_nodes(600)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@contextmanager
def one_killed(cluster: Cluster, work: Path, n_done: int) -> Iterator[list[Killed]]:
    """Inside the block, a node that runs a cell is killed once n_done cells are done."""
    killed: list[Killed] = []
    over = threading.Event()
    killer = threading.Thread(target=_kill, args=(cluster, work, n_done, killed, over))
    killer.start()
    try:
        yield killed
    finally:
        over.set()
        killer.join()


def _kill(cluster: Cluster, work: Path, n_done: int, killed: list[Killed], over: threading.Event) -> None:
    while not over.is_set():
        time.sleep(0.02)
        told = {path.parent: path.read_text(encoding="utf-8") for path in (work / "runs").glob("*/status.json")}
        if sum("done" in state for state in told.values()) < n_done:
            continue
        for run, state in told.items():
            held = store.holder(run) if "running" in state else None
            node = held and next((one for one in cluster.worker_nodes if _runs_on(held.number, one)), None)
            if node is not None:
                cluster.remove_node(node, allow_graceful=False)
                killed.append(Killed(sum("done" in state for state in told.values()), run.name))
                return


def _runs_on(process: int, node: object) -> bool:
    """A worker process is a child of its node's raylet."""
    (raylet,) = node.all_processes["raylet"]  # type: ignore[attr-defined]
    try:
        return psutil.Process(process).ppid() == raylet.process.pid
    except psutil.NoSuchProcess:
        return False
