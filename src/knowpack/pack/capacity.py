"""How much fits: recall against load for several ranks, without and with the harm budget.

model + Unknown facts of a table + ranks + loads -> one row a cell, and D99 (the largest load up to which every load
tried has 99% recall) and safe D99 (the same within the budget) a rank, in facts and in bits per adapter parameter.
Bits: minus log2 of what the base gives the answers. Published beside it: 2 bits a parameter for full models trained
long enough (Allen-Zhu and Li 2024, "Physics of Language Models: Part 3.3", arXiv 2404.05405).
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import polars as pl

from knowpack import store
from knowpack.base import open_base
from knowpack.config import KeepRecipe
from knowpack.errors import FactsError
from knowpack.facts import sources
from knowpack.manifest import owned
from knowpack.measure.knowledge import knowledge_map
from knowpack.pack import budget as limits
from knowpack.pack import plan
from knowpack.pack.budget import Budget
from knowpack.pack.changes import Changes
from knowpack.pack.request import HELD_OUT, Request, config_of, identity, known_of
from knowpack.pack.trial import Trial, attempt, made_of, open_trial
from knowpack.probe.probe import probe
from knowpack.progress import SILENT, Progress
from knowpack.records import Category, Estimate
from knowpack.train import recipes, replay_prompts, target_modules
from knowpack.train.base_answers import build
from knowpack.train.contexts import Contexts

FULL_MODEL_BITS_PER_PARAMETER = 2.0  # Allen-Zhu and Li 2024
RECALL = 0.99
TABLE = "capacity.parquet"


@dataclass(frozen=True, slots=True)
class Cell:
    """One adapter: a rank and a load, with or without replay."""

    kept: bool
    """Trained with replay, as pack does; else the facts alone."""
    rank: int
    n_facts: int
    bits: float
    n_parameters: int
    recall: float
    known_lost_net: float | None
    n_known: int | None
    """Validation facts that could be lost; None: there was none."""
    refusals_lost_net: float | None
    n_refused: int | None
    """Validation facts that the base refuses."""
    within_budget: bool | None
    """By the values on the validation facts, as pack's attempts are judged; those facts are too few to show it. None:
    nothing is over a limit, and something that has one was not measured."""

    @property
    def bits_per_parameter(self) -> float:
        return self.bits / self.n_parameters


def capacity(request: Request, ranks: Sequence[int], loads: Sequence[int], progress: Progress = SILENT) -> pl.DataFrame:
    """Train every rank x load twice -> a row a cell, sorted; resumes. `request.facts` is not read."""
    started = time.perf_counter()
    known = sources.load(known_of(request))
    with owned(request.out, "knowpack capacity", identity(request, known.head(0), known), progress, started):
        split = plan.parts(known, known.head(0), request.seed, request.n_report, request.n_validation)
        _check_loads(max(loads), split.replay.height)
        if not (request.out / "facts.parquet").is_file():
            store.write_table(request.out / "facts.parquet", split.report)
        base = open_base(config_of(request, split.report), progress)
        empty = known.head(0)
        nothing = Changes(empty, empty, empty, {}, [])
        trial = open_trial(base, base.config, nothing, split, request, progress)
        pool = _unknown(trial, split.replay, max(loads), progress)
        cells = [
            _cell(trial, pool.head(n), rank, kept, progress) for kept in (False, True) for rank in ranks for n in loads
        ]
        rows = [asdict(cell) | {"bits_per_parameter": cell.bits_per_parameter} for cell in cells]
        table = pl.DataFrame(rows, schema_overrides={"within_budget": pl.Boolean}).sort("kept", "rank", "n_facts")
        store.forget(request.out, TABLE)  # of other loads, or another budget
        store.write_table(request.out / TABLE, table)
    return table


def largest(table: pl.DataFrame) -> pl.DataFrame:
    """[rank, d99, d99_bits_per_parameter, safe_d99, safe_d99_bits_per_parameter]; null where the smallest load missed.

    D99 is the largest load up to which every load in the table is recalled to 99%, safe D99 where every one is also
    within the budget, and shown to be: of an adapter that loses facts at 100 nobody would say that 200 fit, if by luck
    of one training they did.
    """
    recalled = pl.col("recall") >= RECALL
    ranks = table.select("rank").unique(maintain_order=True)
    for name, kept, reached in (
        ("d99", False, recalled),
        ("safe_d99", True, recalled & pl.col("within_budget").fill_null(False)),
    ):
        rows = table.filter(pl.col("kept") == kept).sort("n_facts")
        up_to_here = reached.cast(pl.Int8).cum_min().over("rank") == 1  # 1, 1, 0, 1 -> 1, 1, 0, 0
        top = rows.filter(up_to_here).group_by("rank", maintain_order=True).last()
        top = top.select(
            "rank", pl.col("n_facts").alias(name), pl.col("bits_per_parameter").alias(f"{name}_bits_per_parameter")
        )
        ranks = ranks.join(top, on="rank", how="left", maintain_order="left")
    return ranks


def _check_loads(n: int, n_facts: int) -> None:
    """Raise FactsError where a load cannot be met whatever the base knows: before it is asked."""
    if n > n_facts:
        raise FactsError(
            f"a load of {n} needs as many facts unknown to the base, and beside those that measure harm there are "
            f"{n_facts}; give smaller --loads, a smaller --sample or a larger table with --known"
        )


def _unknown(trial: Trial, facts: pl.DataFrame, n: int, progress: Progress) -> pl.DataFrame:
    """The first n facts that the base answers under none of the validation prompts: asked until there are so many."""
    facts, chosen = facts.sort("fact_id"), facts.head(0)
    for start in range(0, facts.height, 4 * n):
        some = facts.slice(start, 4 * n)
        answers = probe(trial.base.asker, some, trial.shots, trial.base.prompter, trial.config.probe, progress=progress)
        known = knowledge_map(answers.collect())
        unknown = known.filter((pl.col("grader") == "default") & (pl.col("category") == str(Category.UNKNOWN)))
        chosen = pl.concat([chosen, some.filter(pl.col("fact_id").is_in(unknown["fact_id"].to_list()))])
        if chosen.height >= n:
            return chosen.head(n)
    raise FactsError(
        f"a load of {n} needs as many facts unknown to the base, there are {chosen.height}; give smaller --loads "
        "or a larger table with --known"
    )


def _cell(trial: Trial, facts: pl.DataFrame, rank: int, kept: bool, progress: Progress) -> Cell:
    base, request = trial.base, trial.request
    config = recipes.for_model(request.model.name, rank, facts.height)
    if not kept:
        config = _without_replay(config)
    mine = replace(
        trial,
        facts=pl.concat([facts, trial.split.validation]),
        packed=set(facts["fact_id"]),
        before=_before(trial, facts),
    )
    left = trial.split.replay.join(facts, on="fact_id", how="anti", maintain_order="left")
    prompts = replay_prompts.as_examples(replay_prompts.prompts(left, facts, config, request.seed))
    contexts = Contexts(base.by_ids.prompter, trial.contexts)
    questions = prompts["question"].to_list()
    replay = partial(build, base.loaded, questions, contexts, config, request.seed, progress=progress)
    examples = plan.examples(facts, HELD_OUT, prompts, short_forms=config.short_forms)
    name = f"{'kept' if kept else 'plain'}-r{rank}-n{facts.height}"
    folder = request.out / "cells" / f"{name}-{store.hash_of(_key(mine, examples, config))}"
    trained = attempt(mine, examples, config, folder, replay, progress)
    harm = trained.harm
    assert harm is not None, "each cell is validated"
    over = limits.excess(harm, request.budget, RECALL)
    lost, refused = harm.known_lost_net, harm.refusals_lost_net
    missing = unmeasured(request.budget, lost, refused)
    return Cell(
        kept,
        rank,
        facts.height,
        plan.bits(*base.by_ids, facts),
        target_modules.n_parameters(base.loaded.model, config),
        harm.reliability.value,
        None if lost is None else lost.value,
        None if lost is None else lost.n,
        None if refused is None else refused.value,
        None if refused is None else refused.n,
        None if missing and not over else not over,
    )


def _key(trial: Trial, examples: pl.DataFrame, config: KeepRecipe) -> list[object]:
    """All that a cell is made and judged with. A pack's attempts need less: its folder is of one base; here the recipe
    is of this version and model, and the weights in the model's folder may be others by now."""
    draws = [trial.contexts, trial.shots, trial.fresh_shots]
    prompts = [[[list(shot) for shot in draw] for draw in each] for each in draws]
    return [*made_of(trial, examples, config), trial.base.folder.name, prompts]


def unmeasured(budget: Budget, lost: Estimate | None, refused: Estimate | None) -> bool:
    """Whether a limit stands on what the validation facts cannot show: none was known, or none refused."""
    return (budget.known_lost is not None and lost is None) or (budget.refusals_lost is not None and refused is None)


def _without_replay(full: KeepRecipe) -> KeepRecipe:
    """The facts alone: the same rate and layers, as many steps at the full rate, a fall of at most 250."""
    nothing = dict.fromkeys(("n_replay", "n_made_up", "n_other_forms", "n_texts", "n_contexts"), 0)
    fall = min(full.tail_steps, 250)
    return full.model_copy(update={**nothing, "kl_weight": 0.0, "tail_steps": fall, "check_every": 10})


def _before(trial: Trial, facts: pl.DataFrame) -> pl.DataFrame:
    """The base's knowledge of the validation facts; the packed ones are Unknown and in no share of harm."""
    return trial.before.filter(~pl.col("fact_id").is_in(facts["fact_id"].to_list()))
