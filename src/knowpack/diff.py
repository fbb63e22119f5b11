"""What an adapter, or a whole fine-tuned model, from anywhere changed.

Base + adapter or tuned model + facts -> a folder laid out as a run's: responses, knowledge, shifts, causes, figures.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from knowpack import store
from knowpack.base import Base, bench_key, measure_base, open_base
from knowpack.config import ModelConfig, RunConfig, fingerprint
from knowpack.decode.transformers_asker import live_change
from knowpack.errors import FactsError, ModelError
from knowpack.facts import sources
from knowpack.further.asking import ask_base
from knowpack.manifest import begin, owned
from knowpack.probe.askers import Asker, TextAnswers
from knowpack.progress import SILENT, Progress
from knowpack.records import Example, Kind
from knowpack.run import measure
from knowpack.served.opening import open_asker
from knowpack.settings import differing, typed

DIFF = "knowpack diff"


def diff(
    config: RunConfig,
    after: ModelConfig,
    out: Path,
    examples: Path | None = None,
    progress: Progress = SILENT,
    *,
    asker: Asker | None = None,
) -> Path:
    """What an adapter (after.adapter on the base) or a whole fine-tuned model (after.name) changed.

    examples: what it was trained on, where that is known: an Example table or a Fact table, whose facts are asked
    too. asker: the base, where it is loaded already.
    """
    started = time.perf_counter()
    base = opened(config, examples, progress, asker=asker)
    given = None if examples is None else _as_examples(examples)
    whole = None if after.adapter is not None else _whole(base, after)
    with _tuned(base, after, whole) as tuned:  # what cannot be used is said before the base is asked everything
        asked = _request(base, config, tuned, given)
    store.refuse_other(out, DIFF, asked)
    base.check_unchanged()  # or else the next line would keep a changed base's answers as the clean one's
    measure_base(base, config, progress)
    with owned(out, DIFF, asked, progress, started):
        again = _command(config, after, out, examples)
        begin(out, config, base, {"after": after.model_dump(mode="json"), "again": again})
        if given is not None and not (out / "examples.parquet").is_file():
            store.write_table(out / "examples.parquet", given)
        ask_base(out, config, base, progress)
        with _tuned(base, after, whole) as tuned:
            if not (out / "tuned.json").is_file():
                told = {"weights_hash": tuned.identity.weights, "largest_logit_change": live_change(tuned)}
                store.write_json(out / "tuned.json", told)
            measure(out, config, base, tuned, progress)
        base.check_unchanged()
    return out


def opened(
    config: RunConfig, examples: Path | None, progress: Progress = SILENT, *, asker: Asker | None = None
) -> Base:
    """The base, and the facts to ask: what was trained on, beside those of the config. Raises FactsError where none of
    it is asked: an Example table has no list of right answers, so its facts must be among those of the config."""
    if examples is None:
        return open_base(config, progress, asker=asker)
    if not _is_examples(examples):
        return open_base(config, progress, asker=asker, beside=sources.load(examples))
    base = open_base(config, progress, asker=asker)
    taught = store.read_table(examples, Example).filter(pl.col("kind") == str(Kind.UNKNOWN))
    if taught.height and taught.join(base.facts, on="fact_id", how="semi").is_empty():
        raise FactsError(
            f"{examples} taught {taught['fact_id'].n_unique()} facts, and none of them is asked: "
            "give their table, with all right answers, as what was trained on, or among the facts"
        )
    return base


def _command(config: RunConfig, after: ModelConfig, out: Path, examples: Path | None) -> str:
    """The command that makes the folder again, as one types it."""
    tuned = ["--tuned", after.name] if after.adapter is None else ["--adapter", after.adapter]
    options: dict[str, object] = {
        "model": config.model.name,
        "facts": config.facts.path,
        "sample": config.facts.sample,
        "shots": None if config.probe.shots == "auto" else config.probe.shots,
        "trained": examples,
        "work": None if config.work == "work" else config.work,
        "out": out,
    }
    told = {"label", "model.name", "model.adapter", "facts.path", "facts.sample", "probe.shots", "work"}
    return typed(DIFF, options, differing(config, told), tuned)


def _request(base: Base, config: RunConfig, tuned: Asker, given: pl.DataFrame | None) -> dict[str, object]:
    """A diff folder belongs to one tuned model, one base and the questions that both were asked."""
    return {
        "model or adapter": tuned.identity.weights,
        "base, facts or prompts": base.folder.name,
        "training examples": None if given is None else store.hash_table(given),
        "benchmarks": store.hash_of(bench_key(config)),
        "further questions": store.hash_of(fingerprint(config, "further")),
    }


@contextmanager
def _tuned(base: Base, after: ModelConfig, whole: Asker | None) -> Iterator[Asker]:
    if whole is not None:
        yield whole
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


def _as_examples(path: Path) -> pl.DataFrame:
    """An Example table as it is; a Fact table as examples of kind unknown."""
    if _is_examples(path):
        return store.read_table(path, Example)
    facts = sources.load(path)
    return facts.select(
        example_id="fact_id",
        fact_id="fact_id",
        kind=pl.lit(str(Kind.UNKNOWN)),
        question="question",
        answer=pl.col("answers").list.first(),
    )


def _is_examples(path: Path) -> bool:
    return path.suffix == ".parquet" and "kind" in store.scan_table(path).collect_schema()
