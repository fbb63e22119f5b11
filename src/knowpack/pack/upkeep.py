"""What the report says of facts that stay current: new ones, updates, those packed earlier, those taken back.

out folder + `Trial` -> `Upkeep`: counts, estimates, each update with its old answer. Facts in the question and in a
wording never trained on are read off what the report asked; those taken back are asked here, of base and adapter.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from knowpack import run_figures, store
from knowpack.further.asking import QUESTIONS
from knowpack.manifest import stage
from knowpack.measure import current
from knowpack.measure.harm import known_lost_net
from knowpack.measure.stakes import untrained
from knowpack.pack.request import NONE, known_of
from knowpack.pack.trial import Trial
from knowpack.probe.askers import Asker
from knowpack.probe.probe import probe
from knowpack.progress import Progress
from knowpack.records import Estimate, Example, Knowledge, Response

REMOVED = Path("removed")


class Upkeep(NamedTuple):
    """Of one pack."""

    counts: dict[str, int]
    """new, known (of the new table, answered by the base), updates, earlier, removed, removed_earlier: facts."""
    measured: dict[str, Estimate]
    """A key of measure.current.NAMES -> its estimate; what does not apply is absent."""


def counts(trial: Trial) -> dict[str, int]:
    """How many facts of each kind; an update is not among the new ones."""
    changes, n_updates = trial.changes, len(trial.updates)
    return {
        "new": changes.new.height - n_updates,
        "known": changes.known.height,
        "updates": n_updates,
        "earlier": changes.earlier.height,
        "removed": changes.n_removed,
        "removed_earlier": len(changes.removed_earlier),
    }


def ask_removed(trial: Trial, asker: Asker, who: str, progress: Progress) -> None:
    """The facts taken back, in the question and the last wording, under the report's prompts. who: base, tuned."""
    removed, out = trial.changes.removed, trial.request.out
    if removed.is_empty():
        return
    with stage(out, f"removed-{who}", str(REMOVED / f"{who}.parquet")) as path:
        if path:
            base, config = trial.base, trial.config.probe
            plain = config.model_copy(update={"logprob": False, "n_samples": 0})
            responses = probe(asker, removed, base.shots, base.prompter, plain, forms=(0, -1), progress=progress)
            store.write_table(path, responses.collect())


def measure_upkeep(trial: Trial) -> Upkeep:
    """All of it, from the files of the report."""
    out = trial.request.out
    return Upkeep(counts(trial), {name: one for name, one in _measured(out, trial).items() if one is not None})


def _measured(out: Path, trial: Trial) -> dict[str, Estimate | None]:
    changes, base = trial.changes, trial.base
    responses = {"": store.read_table(out / "responses.parquet", Response)}
    if (out / "held_out.parquet").is_file():
        responses["_reworded"] = store.read_table(out / "held_out.parquet", Response)
    old = {one.fact_id: one.old for one in trial.updates}
    groups = {"earlier": set(changes.earlier["fact_id"]), "updates": set(old)}
    groups["new"] = set(changes.new["fact_id"]) - groups["updates"]
    groups["known"] = set(changes.known["fact_id"])
    estimates: dict[str, Estimate | None] = {}
    for end, answers in responses.items():
        estimates |= {f"{name}_right{end}": current.right(answers, ids) for name, ids in groups.items()}
        estimates[f"updates_old_left{end}"] = current.old_given(answers, old)
    if old:
        estimates["updates_old_before"] = current.old_given(base.responses.collect(), old)
        estimates["updates_neighbours_lost"] = _neighbours_lost(out, trial, set(old))
        estimates |= {f"updates_{name}_right": one for name, one in _beside(out, set(old)).items()}
    if known_of(trial.request) == NONE:
        own = pl.col("fact_id").is_in(trial.split.report["fact_id"].to_list())
        estimates["own_kept"] = current.returned(base.responses.filter(own).collect(), responses[""].filter(own))
    if changes.removed.height:
        sides = [store.read_table(out / REMOVED / f"{who}.parquet", Response) for who in ("base", "tuned")]
        for end, form in (("", pl.col("form") == 0), ("_reworded", pl.col("form") > 0)):
            first, second = (side.filter(form) for side in sides)
            estimates[f"removed_returned{end}"] = current.returned(first, second)
            estimates[f"removed_left{end}"] = current.left_behind(first, second)
    return estimates


def _neighbours_lost(out: Path, trial: Trial, updated: set[str]) -> Estimate | None:
    """Other facts of the updated subjects that the base knew well: how many more the adapter fails."""
    base, facts = trial.base, trial.base.facts
    subjects = facts.filter(pl.col("fact_id").is_in(list(updated)))["subject"].drop_nulls().to_list()
    near = facts.filter(pl.col("subject").is_in(subjects))["fact_id"].to_list()
    after = store.read_table(out / "knowledge.parquet", Knowledge)
    trained = set(store.read_table(out / "examples.parquet", Example)["fact_id"])
    stakes = untrained(base.knowledge, after, run_figures.draws(out, base, after), facts, trained, "default")
    return known_lost_net(stakes.only(np.isin(stakes.fact_id, near)))


def _beside(out: Path, updated: set[str]) -> dict[str, Estimate | None]:
    """Updates backwards, and in one question with another fact."""
    path = out / "further" / "tuned" / "responses.parquet"
    if not path.is_file():
        return {}
    questions = store.read_table(out / QUESTIONS).filter(pl.col("origin").is_in(list(updated)))
    answers = store.read_table(path, Response)
    kinds = {"reversed": "reversal", "two_hop": "two_hop"}
    return {
        name: current.right(answers, questions.filter(pl.col("kind") == kind)["fact_id"].to_list())
        for name, kind in kinds.items()
    }
