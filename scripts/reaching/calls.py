"""What is called from Python: the four calls of a notebook, and commands whose constants make them long, cut short.

Run in the folder of the commands, after them.
"""

import sys

import polars as pl

import knowpack as kp
from knowpack.cli import main as cli
from knowpack.train import recipes

SMALL = {"probe.n_prompts": 2, "probe.n_floors": 1, "further.n_facts": 6, "further.n_forms": 4}
KEEP = {"recipe": "keep", "rank": 2, "n_replay": 16, "n_made_up": 4, "n_texts": 4, "n_contexts": 1}
KEEP |= {"replay_batch": 8, "max_steps": 6, "tail_steps": 2}


def from_python() -> None:
    """pack, diff, probe and study, and what their results show; the pack and the study are the commands' own."""
    train = {f"train.{name}": value for name, value in KEEP.items()}
    few = {**SMALL, **train, "bench.limit": 8}
    packed = kp.pack("new.csv", model="lab", out="packed", sample=40, effort="quick", tasks=["lab_mc"], settings=few)
    tuned, limits = "merged", {"known_lost": 0.5}
    other = kp.diff(model="lab", tuned=tuned, facts="lab", sample=20, out="diff", budget=limits, settings=SMALL)
    grid = kp.study("study.yaml")
    probed = kp.probe(model="lab", facts=pl.read_csv("new.csv"), out="probe", settings={"probe.n_prompts": 1})
    for result in (packed, other, grid):
        parts = (result.verdict, result.first, result.figures, result.tables, result.shifts, result.knowledge)
        assert all(one is not None for one in parts), result
        assert all([result.responses.height, repr(result), result._repr_html_()])
        assert result.unfinished == []
    assert all([probed.knowledge.height, probed.responses.height, repr(probed), probed._repr_html_()])
    assert "pack" in dir(kp)


def command(*args: str) -> None:
    """A command in this process; pack's exit code 3 says that a limit is not met."""
    sys.argv = ["knowpack", *args]
    try:
        cli.main()
    except SystemExit as stop:
        if stop.code not in (0, None, 3):
            raise


def cut_short() -> None:
    """pack with several attempts, and capacity."""
    whole = recipes.for_load
    recipes.for_load = lambda rank, n: whole(rank, n).model_copy(update={**KEEP, "rank": rank})
    small = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
    command("pack", "new.csv", "--sample", "40", *small, "--out", "attempts")
    command("capacity", "--ranks", "1", "--loads", "4", "--sample", "40", *small, "--out", "capacity")


def main() -> None:
    """All of it."""
    from_python()
    cut_short()
