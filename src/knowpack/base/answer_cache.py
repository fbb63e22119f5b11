"""What the base answered before, whatever else it was asked then: answers by fact and prompts.

A base's folder is keyed by all its facts together, so that a pack that goes on from another (--onto) is another base,
though most of its facts are the same. Beside each of a base's tables of answers lies asked.parquet, fact_id -> key. A
key covers all that decides the answers to one fact: the model, the prompts, the settings, the grader's rules and the
fact's own row; not the facts asked along with it, which change no answer. (They change the last digits of
answer_logprob, where a handful of facts is asked alone: other shapes, other sums. So that a study's cells are the same
bytes in whatever order they are measured, only a base that `looks_back` takes what it finds.)

Base + facts + prompts + settings -> the rows (Response) that any folder of `work/base/` holds.
"""

from pathlib import Path

import polars as pl

from knowpack import store
from knowpack.base.base import Base, probe_key, rendered
from knowpack.config import ProbeConfig
from knowpack.measure.grading import GRADER_VERSION
from knowpack.probe.turns import Shot
from knowpack.records import Fact, Response, schema

KEYS = "asked.parquet"


def keys(base: Base, facts: pl.DataFrame, shots: list[list[Shot]], config: ProbeConfig) -> pl.DataFrame:
    """fact_id, key: of each fact under these prompts."""
    shared = store.hash_of(
        {
            **base.asker.identity._asdict(),
            "shots": [[list(shot) for shot in draw] for draw in shots],
            "prompts": [rendered(base.prompter, draw) for draw in shots],
            "probe": probe_key(base.config.model_copy(update={"probe": config})),
            "sampling": config.shots_seed if config.n_samples else None,
            "grader": GRADER_VERSION,
        }
    )
    rows = facts.select(list(schema(Fact))).write_ndjson().split("\n")  # a line end in a text is escaped there
    return pl.DataFrame({"fact_id": facts["fact_id"], "key": [store.hash_of([shared, row]) for row in rows if row]})


def cached_answers(base: Base, wanted: pl.DataFrame) -> pl.LazyFrame | None:
    """All answers (Response) to those of the `keys` that were measured before; None = to none."""
    if not base.looks_back:
        return None
    tables = []
    for path in sorted((Path(base.config.work) / "base").rglob(KEYS)):
        responses = path.with_name("responses.parquet")
        here = wanted.join(store.read_table(path), on=["fact_id", "key"], how="semi")
        if here.is_empty() or not responses.is_file():
            continue
        tables.append(store.scan_table(responses, Response).join(here.lazy(), on="fact_id", how="semi"))
        wanted = wanted.join(here, on="fact_id", how="anti")
    return pl.concat(tables) if tables else None


def n_unanswered(base: Base, facts: pl.DataFrame, shots: list[list[Shot]], config: ProbeConfig) -> int:
    """How many of the facts would have to be asked."""
    cached = cached_answers(base, keys(base, facts, shots, config))
    return facts.height - (0 if cached is None else cached.select(pl.col("fact_id").n_unique()).collect().item())
