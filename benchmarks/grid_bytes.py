"""A study of eight cells in one process, as three shards, by submitit, on Ray with a node killed: the same bytes?

    python benchmarks/grid_bytes.py                        # on the lab's model
    python benchmarks/grid_bytes.py --ways submitit ray --workers 3

Every way runs in a work directory of its own. Compared are all tables, adapters and figures of base and runs, and the
report's tables and figures; not compared is what holds times: manifest, status, training log, the adapter's card. Exit
code 1 where one differs. Workers get one thread each (OMP_NUM_THREADS=1, which this command sets).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, here and in the workers
os.environ.setdefault("RAY_worker_niceness", "0")  # else Ray's workers (nice 15) wait for whatever else runs here
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from knowpack.config import RayConfig, SlurmConfig, StudyConfig  # noqa: E402
from knowpack.state import cells  # noqa: E402
from knowpack.study import study  # noqa: E402
from knowpack.workers.ray_tasks import RayTasks  # noqa: E402
from knowpack.workers.rounds import study_by  # noqa: E402
from knowpack.workers.slurm import Submitit  # noqa: E402
from ray_nodes import one_killed, two_nodes  # noqa: E402
from same_bytes import contents, printed  # noqa: E402

WAYS = ("shards", "submitit", "ray")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lab")
    parser.add_argument("--facts", type=int, default=120)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as given:
        work = Path(given)
        expected = timed("one process", study, config(args, work / "one"))
        ways: dict[str, Callable[[StudyConfig], object]] = {
            "shards": by_shards,
            "submitit": lambda one: study_by(Submitit(SlurmConfig(cluster="local")), one, args.workers),
            "ray": lambda one: by_ray(one, args.workers),
        }
        same = [timed(way, ways[way], config(args, work / way), expected) for way in args.ways]
    sys.exit(0 if all(one == expected for one in same) else 1)


def config(args: argparse.Namespace, work: Path) -> StudyConfig:
    """Cells of 5, 10, 15, ... facts."""
    return StudyConfig.model_validate(
        {
            "name": "grid",
            "base": {
                "work": str(work),
                "model": {"name": args.model},
                "facts": {"sample": args.facts},
                "probe": {"n_prompts": 3, "n_floors": 1},
                "train": {"lr": 1e-2, "epochs": 3},
            },
            "cells": [{"label": f"{5 * i} facts", "mix.n_unknown": 5 * i} for i in range(1, args.cells + 1)],
        }
    )


def timed(
    way: str, run: Callable[[StudyConfig], object], one: StudyConfig, expected: dict[str, str | bytes] | None = None
) -> dict[str, str | bytes]:
    """Run it and print what came out of it. Returns path -> hash or bytes."""
    started = time.perf_counter()
    run(one)
    seconds = time.perf_counter() - started
    work = Path(one.base.work)
    states = [cell.state for cell in cells(work / "studies" / one.name)]
    assert states == ["done"] * len(one.cells), states
    files = {**contents(work), **printed(work, one.name)}
    head = f"{way:<12} {len(states)} cells done in {seconds:4.0f} s, {len(files)} files"
    if expected is None:
        print(head, flush=True)
    else:
        differing = sorted(name for name in {*files, *expected} if files.get(name) != expected.get(name))
        print(f"{head}, {len(differing)} differ from one process {differing[:3] or ''}", flush=True)
    return files


def by_shards(one: StudyConfig) -> None:
    """Three processes at once, each started as a user's own scheduler would."""
    import yaml

    path = Path(one.base.work).with_suffix(".yaml")
    path.write_text(yaml.safe_dump(one.model_dump(mode="json")))
    command = [sys.executable, "-m", "knowpack", "study", str(path), "--quiet", "--shard"]
    started = [subprocess.Popen([*command, f"{i}/3"], stdout=subprocess.DEVNULL) for i in (1, 2, 3)]
    assert [process.wait() for process in started] == [0, 0, 0]


def by_ray(one: StudyConfig, workers: int) -> None:
    """Two nodes on this machine; a node is killed in the middle of a cell, when two cells are done."""
    with two_nodes() as cluster, one_killed(cluster, Path(one.base.work), 2) as killed:
        study_by(RayTasks(RayConfig(address=cluster.address)), one, workers)
        for node in killed:
            print(f"{'':<12} a node was killed: {node.n_done} cells done, it ran {node.running}", flush=True)
        print(f"{'':<12} nodes at the end: {len(cluster.worker_nodes)} of 2", flush=True)


if __name__ == "__main__":
    main()
