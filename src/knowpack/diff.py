"""What an adapter, or a whole fine-tuned model, from anywhere changed.

Base + adapter or tuned model + facts -> a folder laid out as a run's: responses, knowledge, shifts, causes, figures.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import polars as pl

from knowpack import store
from knowpack.base import Base, bench_key, measure_base, open_base
from knowpack.config import ModelConfig, RunConfig
from knowpack.decode.transformers_asker import doubts_of, live_change
from knowpack.errors import FactsError, ModelError
from knowpack.facts import sources
from knowpack.facts.from_config import table_content
from knowpack.further.asking import ask_base, further_key
from knowpack.manifest import begin, owned
from knowpack.model.locations import WEIGHTS
from knowpack.probe.askers import Asker, TextAnswers
from knowpack.progress import SILENT, Progress
from knowpack.records import Example, Kind
from knowpack.run import measure
from knowpack.served.opening import open_asker
from knowpack.settings import differing, typed

DIFF = "knowpack diff"


class Trained(NamedTuple):
    """What a model was trained on."""

    path: Path
    examples: pl.DataFrame
    """Example table."""
    facts: pl.DataFrame | None
    """Fact table: they are asked too. None where the file holds examples, which have no list of right answers."""


def trained_on(path: Path) -> Trained:
    """Read an Example table, or a Fact table as examples of kind unknown. Raises FactsError, StoreError."""
    if path.suffix == ".parquet" and "kind" in store.scan_table(path).collect_schema():
        return Trained(path, store.read_table(path, Example), None)
    facts = sources.load(path)
    examples = facts.select(
        example_id="fact_id",
        fact_id="fact_id",
        kind=pl.lit(str(Kind.UNKNOWN)),
        question="question",
        answer=pl.col("answers").list.first(),
    )
    return Trained(path, examples, facts)


def diff(
    config: RunConfig,
    after: ModelConfig,
    out: Path,
    trained: Trained | None = None,
    progress: Progress = SILENT,
    *,
    asker: Asker | None = None,
) -> Path:
    """What an adapter (after.adapter on the base) or a whole fine-tuned model (after.name) changed.

    trained: what it was trained on, where that is known. asker: the base, where it is loaded already.
    """
    started = time.perf_counter()
    base = open_for_diff(config, trained, progress, asker=asker)
    examples = None if trained is None else trained.examples
    tuned_asker = None if after.adapter is not None else _whole(base, after)
    with _tuned(base, after, tuned_asker) as tuned:  # what cannot be used is said before the base is asked everything
        request = _request(base, config, tuned, examples)
    store.refuse_other(out, DIFF, request)
    base.check_unchanged()  # or else the next line would keep a changed base's answers as the clean one's
    measure_base(base, config, progress)
    with owned(out, DIFF, request, progress, started):
        again = _command(config, after, out, trained)
        begin(out, config, base, {"after": after.model_dump(mode="json"), "again": again})
        if examples is not None and not (out / "examples.parquet").is_file():
            store.write_table(out / "examples.parquet", examples)
        ask_base(out, config, base, progress)
        with _tuned(base, after, tuned_asker) as tuned:
            if not (out / "tuned.json").is_file():
                facts_of_tuned: dict[str, object] = {
                    "weights_hash": tuned.identity.weights,
                    "largest_logit_change": live_change(tuned),
                    "doubts": doubts_of(tuned),
                }
                if after.adapter is not None and (weights := Path(after.adapter) / WEIGHTS).is_file():
                    facts_of_tuned["adapter_hash"] = store.hash_file(weights)[:16]
                store.write_json(out / "tuned.json", facts_of_tuned)
            measure(out, config, base, tuned, progress)
        base.check_unchanged()
    return out


def open_for_diff(
    config: RunConfig, trained: Trained | None, progress: Progress = SILENT, *, asker: Asker | None = None
) -> Base:
    """The base, and the facts to ask: what was trained on, beside those of the config. Raises FactsError where none of
    it is asked: examples have no list of right answers, so their facts must be among those of the config."""
    base = open_base(config, progress, asker=asker, beside=None if trained is None else trained.facts)
    if trained is None:
        return base
    new_facts = trained.examples.filter(pl.col("kind") == str(Kind.UNKNOWN))
    if new_facts.height and new_facts.join(base.facts, on="fact_id", how="semi").is_empty():
        raise FactsError(
            f"{trained.path} taught {new_facts['fact_id'].n_unique()} facts, and none of them is asked: "
            "give their table, with all right answers, as what was trained on, or among the facts"
        )
    return base


def _command(config: RunConfig, after: ModelConfig, out: Path, trained: Trained | None) -> str:
    """The command that makes the folder again, as one types it."""
    at = "" if after.revision is None else f"@{after.revision}"
    tuned = ["--tuned", after.name + at] if after.adapter is None else ["--adapter", after.adapter]
    options: dict[str, object] = {
        "model": config.model.name,
        "facts": config.facts.path,
        "sample": config.facts.sample,
        "shots": None if config.probe.shots == "auto" else config.probe.shots,
        "trained": None if trained is None else trained.path,
        "work": None if config.work == "work" else config.work,
        "out": out,
    }
    covered = {"label", "model.name", "model.adapter", "facts.path", "facts.sample", "probe.shots", "work"}
    return typed(DIFF, options, differing(config, covered), tuned)


def _request(base: Base, config: RunConfig, tuned: Asker, examples: pl.DataFrame | None) -> dict[str, object]:
    """A diff folder belongs to one tuned model, one base and the questions that both were asked."""
    not_probed = table_content(config)
    return {
        "model or adapter": tuned.identity.weights,
        "base, facts or prompts": store.hash_of([base.folder.name, not_probed]) if not_probed else base.folder.name,
        "training examples": None if examples is None else store.hash_table(examples),
        "benchmarks": store.hash_of(bench_key(config)),
        "further questions": store.hash_of(further_key(config)),
    }


@contextmanager
def _tuned(base: Base, after: ModelConfig, tuned_asker: Asker | None) -> Iterator[Asker]:
    if tuned_asker is not None:
        yield tuned_asker
        return
    assert after.adapter is not None
    with base.tuned(after.adapter) as tuned:
        yield tuned


def _whole(base: Base, after: ModelConfig) -> Asker:
    """A fine-tuned model, checked to be of the base's shape."""
    tuned = open_asker(after, base.config.probe.batch_size)
    by_text = isinstance(tuned, TextAnswers)
    if by_text != isinstance(base.asker, TextAnswers):
        text, ids = (tuned, base.asker) if by_text else (base.asker, tuned)
        raise ModelError(
            f"{text.name} is asked by text, {ids.name} by token ids: two prompts that differ; ask both alike"
        )
    if not isinstance(tuned, TextAnswers) and tuned.n_vocabulary != base.by_ids.asker.n_vocabulary:
        theirs, ours = tuned.n_vocabulary, base.by_ids.asker.n_vocabulary
        raise ModelError(f"{after.name} has a vocabulary of {theirs}, the base {ours}: not tuned from this base")
    return tuned
