"""Base and tuned model, asked what stands beside the probe; each once a run, into the run's folder.

Run folder + Base (+ tuned model) -> further/questions.parquet, and under further/base/ and further/tuned/ what each
said: responses.parquet, likelihoods.parquet, passages.parquet. The base is asked before the adapter is put on it.
"""

from pathlib import Path

import polars as pl

from knowpack import records, store
from knowpack.base import Base
from knowpack.config import RunConfig, fingerprint
from knowpack.facts import sources
from knowpack.facts.from_config import facts_of
from knowpack.further.likelihoods import AUTO, Likelihood, PassageScore, likelihoods, passages, score_passages
from knowpack.further.pools import Pools
from knowpack.further.selection import further_questions
from knowpack.manifest import stage
from knowpack.measure import further_figures
from knowpack.probe.askers import Asker, TextAnswers
from knowpack.probe.probe import probe
from knowpack.probe.turns import Turns
from knowpack.progress import SILENT, Progress
from knowpack.records import Category, Example, Fact, Figure, Kind, Response, table

QUESTIONS = Path("further") / "questions.parquet"
LIKELIHOODS = "likelihoods.parquet"


def ask_base(folder: Path, config: RunConfig, base: Base, progress: Progress = SILENT) -> None:
    """Choose the questions and ask the base; before an adapter is on it. Empty tables where nothing is to be asked."""
    with stage(folder, "further-base", "further/base/passages.parquet", ["further/base", str(QUESTIONS)]) as path:
        if path:
            everything = _everything(config, base)
            if not (folder / QUESTIONS).is_file():
                store.write_table(folder / QUESTIONS, _questions(folder, config, base, everything))
            _ask(folder, "base", config, base, base.asker, everything, progress)


def ask_tuned(folder: Path, config: RunConfig, base: Base, tuned: Asker, progress: Progress = SILENT) -> None:
    """Ask the tuned model the same; nothing where the base was not asked."""
    if not (folder / QUESTIONS).is_file():
        return
    with stage(folder, "further", "further/tuned/passages.parquet", ["further/tuned"]) as path:
        if path:
            _ask(folder, "tuned", config, base, tuned, _everything(config, base), progress)


def further_key(config: RunConfig) -> dict[str, object]:
    """What changes the answers: the settings, and of unrelated text in a file what is in it."""
    further = config.further
    if further.text not in (None, AUTO):
        further = further.model_copy(update={"text": sources.content(str(further.text))})
    return fingerprint(config.model_copy(update={"further": further}), "further")


def figures(folder: Path, base: Base, after: pl.DataFrame) -> list[Figure]:
    """Everything that measure/further_figures.py makes of it; empty where nothing was asked.

    after: the tuned model's responses to the probe.
    """
    if not (folder / "further" / "tuned" / "passages.parquet").is_file():
        return []
    places = [folder / "further" / name for name in ("base", "tuned")]
    scored, passed = (
        [store.read_table(place / name, record) for place in places]
        for name, record in ((LIKELIHOODS, Likelihood), ("passages.parquet", PassageScore))
    )
    result = further_figures.likelihood_figures(base.facts, scored[0], scored[1])
    result += further_figures.passage_figures(passed[0], passed[1])
    if not all((place / "responses.parquet").is_file() for place in places):
        return result
    questions = store.read_table(folder / QUESTIONS)
    responses = [store.read_table(place / "responses.parquet", Response) for place in places]
    result += further_figures.right_by_kind(questions, responses[0], responses[1])
    return result + further_figures.consistency(
        questions, (base.responses.collect(), after), (responses[0], responses[1])
    )


def _questions(folder: Path, config: RunConfig, base: Base, everything: pl.DataFrame) -> pl.DataFrame:
    path = folder / "examples.parquet"
    examples = store.read_table(path, Example) if path.is_file() else table([], Example)
    trained = set(examples["fact_id"])
    new_ids = examples.filter(pl.col("kind") == str(Kind.UNKNOWN))["fact_id"].unique().to_list()
    known = base.knowledge.filter(
        pl.col("grader") == config.grader, pl.col("category") == str(Category.HIGHLY_KNOWN)
    ).select("fact_id")
    pools = Pools(
        everything,
        _untrained(base, trained),
        base.facts.filter(pl.col("fact_id").is_in(new_ids)),
        _untrained(base, trained).join(known, on="fact_id", how="semi", maintain_order="left"),
    )
    texts = [] if config.further.text is None else passages(config.further.text)
    return further_questions(pools, trained, config.further, texts, config.seed)


def _everything(config: RunConfig, base: Base) -> pl.DataFrame:
    """All facts of the source, of which the probe may ask a sample; none where no questions are asked."""
    any_questions = config.further.n_facts or config.further.n_forms
    return sources.load(facts_of(config)) if any_questions else base.facts.clear()


def _untrained(base: Base, trained: set[str]) -> pl.DataFrame:
    return base.facts.filter(~pl.col("fact_id").is_in(list(trained)))


def _ask(
    folder: Path, who: str, config: RunConfig, base: Base, asker: Asker, everything: pl.DataFrame, progress: Progress
) -> None:
    """Responses, likelihoods, passages; the last is what says that all are there."""
    into, settings = folder / "further" / who, config.further
    questions = store.read_table(folder / QUESTIONS)
    responses = into / "responses.parquet"
    if questions.height and not responses.is_file():
        plain = config.probe.model_copy(update={"logprob": False, "n_samples": 0})
        theirs = folder / "further" / "base" / "responses.parquet"
        drafts = store.scan_table(theirs, Response) if who == "tuned" else None
        facts = questions.select(list(records.schema(Fact)))
        draws, chunks = base.shots[: settings.n_prompts], store.Chunks(responses)
        probe(asker, facts, draws, base.prompter, plain, chunks=chunks, drafts=drafts, progress=progress)
    scored, passed = table([], Likelihood), table([], PassageScore)
    if not isinstance(asker, TextAnswers) and not isinstance(base.prompter, Turns):  # by text nothing is likely
        origins = questions.filter(pl.col("kind") == "wording")["origin"].to_list()
        sample = base.facts.filter(pl.col("fact_id").is_in(origins))
        if sample.height and not (into / LIKELIHOODS).is_file():
            shots = base.shots[0]
            scored = likelihoods(asker, base.prompter, sample, everything, shots, settings.n_distractors)
        if settings.text is not None:
            passed = score_passages(asker, base.prompter, passages(settings.text))
    if not (into / LIKELIHOODS).is_file():  # a kill may have come between the two
        store.write_table(into / LIKELIHOODS, scored)
    store.write_table(into / "passages.parquet", passed)
