"""What a run measured: its tables -> every scalar figure, and known facts lost by group.

The folder of a run + its base -> figures under both graders (docs/method.md). run.py calls these as its last stage.
"""

from pathlib import Path

import polars as pl

from knowpack import records, store
from knowpack.base import Base, fresh_name
from knowpack.further import asking
from knowpack.measure import cause_rates, collapse, confidence, harm, own_answers, regress, replay_apart, shifts
from knowpack.measure.group_harm import group_harm
from knowpack.measure.stakes import Draw, untrained
from knowpack.records import GRADERS, Example, Fact, Figure, Kind, Knowledge, Response, Shift


def figures(folder: Path, base: Base, after: pl.DataFrame, examples: pl.DataFrame | None) -> list[Figure]:
    """Every scalar figure of a run, under both graders, with interval and n."""
    moved = store.read_table(folder / "shifts.parquet", Shift)
    known_after = store.read_table(folder / "knowledge.parquet", Knowledge)
    before = base.responses.collect()
    trained_on = examples if examples is not None else pl.DataFrame(schema=records.schema(Example))
    trained = set() if examples is None else set(examples["fact_id"])
    result = shifts.summary(moved, base.facts)
    result += harm.figures(base.knowledge, known_after, draws(folder, base, known_after), base.facts, trained)
    new_ids = new_fact_ids(examples)
    if new_ids:
        held_out = folder / "held_out.parquet"
        reworded = store.read_table(held_out, Response) if held_out.is_file() else None
        result += shifts.reliability(known_after, reworded, new_ids)
    result += cause_rates.figures(
        cause_rates.base_rates(moved, before, after, trained_on, base.facts, labelled=base.prompter.chat)
    )
    result += collapse.diversity(after, before)
    result += regress.figures(before, after, trained_on, base.facts)
    result += confidence.figures(before, after, base.facts, trained)
    result += asking.figures(folder, base, after)
    result += _where_no_replay_was(folder, base, known_after, trained_on)
    result += collapse.refusals(base.knowledge, known_after, trained, base.facts)
    return own_answers.renamed(result) if own_answers.written_by_the_model(base.facts, trained) else result


def _where_no_replay_was(folder: Path, base: Base, after: pl.DataFrame, examples: pl.DataFrame) -> list[Figure]:
    """What was lost of subjects and relations that no replay prompt is about; empty where nothing was replayed."""
    if not (folder / "replayed.parquet").is_file():
        return []
    replayed = store.read_table(folder / "replayed.parquet", Fact)
    draws_asked, trained = draws(folder, base, after), set(examples["fact_id"])
    each = [(grader, untrained(base.knowledge, after, draws_asked, base.facts, trained, grader)) for grader in GRADERS]
    return [one for grader, stakes in each for one in replay_apart.figures(stakes, base.facts, replayed, grader)]


def harm_by_group(folder: Path, base: Base, examples: pl.DataFrame) -> pl.DataFrame:
    """Table of GroupHarm: known facts lost by relation and by popularity, under both graders."""
    after = store.read_table(folder / "knowledge.parquet", Knowledge)
    draws_asked, trained = draws(folder, base, after), set(examples["fact_id"])
    draws_asked = [draw for draw in draws_asked if draw.tuned is not None]
    each = [(grader, untrained(base.knowledge, after, draws_asked, base.facts, trained, grader)) for grader in GRADERS]
    return pl.concat([group_harm(stakes, base.facts, grader) for grader, stakes in each])


def draws(folder: Path, base: Base, known_after: pl.DataFrame) -> list[Draw]:
    """What base and adapter know under each set of fresh prompts that both were asked; the base alone where none is.

    Without shots all prompts are one, so that the probe itself is as good as fresh.
    """
    if not base.config.probe.n_shots:
        return [Draw(base.knowledge, known_after)]
    result: list[Draw] = []
    while (theirs := base.fresh(len(result) + 1)) is not None:
        path = folder / fresh_name(len(result) + 1) / "knowledge.parquet"
        result.append(Draw(theirs, store.read_table(path, Knowledge) if path.is_file() else None))
    return [draw for draw in result if draw.tuned is not None] or result


def new_fact_ids(examples: pl.DataFrame | None) -> set[str]:
    """The facts that an adapter was to learn: the Unknown ones, or, of a sham, the HighlyKnown ones."""
    if examples is None:
        return set()
    unknown = examples.filter(pl.col("kind") == str(Kind.UNKNOWN))
    return set((unknown if unknown.height else examples)["fact_id"])
