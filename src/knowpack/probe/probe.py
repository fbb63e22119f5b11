"""Ask a model every fact under every prompt, and keep what it said.

Fact table + few-shot prompts + an asker -> Response table (Pletenev et al. 2025, section 3.1: 10 prompts x 4 shots,
greedy, 32 new tokens; sampled answers as in SliCK, Gekhman et al. 2024). Works through the facts in chunks of under a
minute each, so that memory does not grow with them and a killed probe goes on at the next chunk. The result does not
depend on the chunks.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import polars as pl

from knowpack import records, store
from knowpack.config import ProbeConfig
from knowpack.errors import FactsError
from knowpack.measure.grading import grade_table
from knowpack.probe.askers import Answers, Keeps, TextAnswers
from knowpack.probe.by_ids import Answer, IdsJob, lines_by_ids, old_answers_of
from knowpack.probe.by_text import TextJob, lines_by_text
from knowpack.probe.line_end import LineEnd
from knowpack.probe.pace import AnswerCounter, chunk_facts
from knowpack.probe.prompts import Prompter
from knowpack.probe.questions import Line, questions_of
from knowpack.probe.turns import Shot, Turns
from knowpack.progress import SILENT, Progress
from knowpack.records import Response

CHUNK_FACTS = 1024  # facts a chunk, at most: eight batches of 128
TEXT_CHUNK_FACTS = 64  # of a model that is asked by text: 640 requests under ten prompts


def probe(
    asker: Answers | TextAnswers,
    facts: pl.DataFrame,
    shots: Sequence[Sequence[Shot]],
    prompter: Prompter | Turns,
    config: ProbeConfig,
    *,
    chunks: store.Chunks | None = None,
    drafts: pl.DataFrame | pl.LazyFrame | None = None,
    answered: pl.LazyFrame | None = None,
    forms: Sequence[int] = (0,),
    progress: Progress = SILENT,
) -> pl.LazyFrame:
    """Fact table -> Response table: by facts in the order given, then form, prompt, sample.

    shots: one few-shot draw a prompt. forms: 0 the question, k its k-th paraphrase, -k its k-th from the last;
    facts without that wording are left out. drafts: another model's responses to the same prompts (the base's, when
    an adapter is probed): they make it faster, never different. answered: this model's own responses to some of the
    facts, all that are wanted of each: they are not asked again. chunks: write each chunk of facts there, go on where
    an earlier run was killed, and finish the table; nothing accumulates in memory. prompter: Turns for whoever is
    asked by text. Raises FactsError where there is nothing to ask.
    """
    if facts.is_empty() or not shots or not forms:
        raise FactsError(
            f"nothing to ask: {len(facts)} facts, {len(shots)} prompts, {len(forms)} forms; expected one of each"
        )
    job = _job(asker, prompter, shots, config, forms)
    most = TEXT_CHUNK_FACTS if isinstance(asker, TextAnswers) else CHUNK_FACTS
    n_facts = chunk_facts(asker, len(shots) * len(forms) * (1 + config.n_samples), most)
    if chunks:
        n_facts = chunks.size(n_facts)
    n_done = chunks.done() if chunks else 0
    parts = []
    n_left = max(0, len(facts) - n_done * n_facts) * len(shots) * len(forms)
    with progress.stage("probe: answers", n_left) as advance:
        for n, chunk in enumerate(facts.iter_slices(n_facts)):
            if n < n_done:
                continue
            counted = AnswerCounter(advance)
            with _kept(asker, chunks, n):
                part = _with_answered(job, chunk, drafts, answered, counted)
                chunks.append(part) if chunks else parts.append(part)
            counted.up_to(len(chunk) * len(shots) * len(forms))
    return store.scan_table(chunks.finish(), Response) if chunks else pl.concat(parts).lazy()


def regrade(responses: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """The same responses under the graders of today; no model needed."""
    return records.cast(grade_table(responses, facts), Response)


def _job(
    asker: Answers | TextAnswers,
    prompter: Prompter | Turns,
    shots: Sequence[Sequence[Shot]],
    config: ProbeConfig,
    forms: Sequence[int],
) -> IdsJob | TextJob:
    if isinstance(asker, TextAnswers):
        assert isinstance(prompter, Turns), "who is asked by text gets turns"
        return TextJob(asker, prompter, shots, config, forms)
    assert not isinstance(prompter, Turns), "who is asked by ids gets a tokenizer's prompter"
    line_end = LineEnd(prompter.decode) if config.stop and not prompter.chat else None
    return IdsJob(asker, prompter, shots, config, forms, line_end)


@contextmanager
def _kept(asker: Answers | TextAnswers, chunks: store.Chunks | None, n: int) -> Iterator[None]:
    """Answers of an asker far away are kept one by one while their chunk is not whole."""
    if chunks is None or not isinstance(asker, Keeps):
        yield
        return
    path = chunks.folder / f"{n:06d}.answered.jsonl"
    with asker.keeping(path):
        yield
    store.remove(path)


def _with_answered(
    job: IdsJob | TextJob,
    chunk: pl.DataFrame,
    drafts: pl.DataFrame | pl.LazyFrame | None,
    answered: pl.LazyFrame | None,
    counted: AnswerCounter,
) -> pl.DataFrame:
    """A chunk's rows: those that are there, and the other facts asked."""
    if answered is None:
        return _probe_chunk(job, chunk, drafts, counted)
    cached = records.cast(answered.filter(pl.col("fact_id").is_in(chunk["fact_id"].implode())).collect(), Response)
    rest = chunk.join(cached, on="fact_id", how="anti", maintain_order="left")
    return _in_order(pl.concat([cached, _probe_chunk(job, rest, drafts, counted)]), chunk)


def _probe_chunk(
    job: IdsJob | TextJob, chunk: pl.DataFrame, drafts: pl.DataFrame | pl.LazyFrame | None, counted: AnswerCounter
) -> pl.DataFrame:
    lines: list[Line] = []
    newest: dict[str, Answer] = {}
    old_answers = old_answers_of(drafts, chunk, job.config) if isinstance(job, IdsJob) else {}
    for form in job.forms:
        questions = questions_of(chunk, form)
        if not questions.texts:
            continue
        if isinstance(job, IdsJob):
            lines += lines_by_ids(job, questions, newest, old_answers, counted)
        else:
            lines += lines_by_text(job, questions)
    return _table(lines, chunk)


def _table(lines: list[Line], chunk: pl.DataFrame) -> pl.DataFrame:
    """Ungraded lines -> Response table, in the facts' order: the same rows whatever the chunk's size."""
    kinds = records.schema(Response)
    responses = pl.DataFrame(lines, schema={name: kinds[name] for name in Line._fields}, orient="row")
    return records.cast(grade_table(_in_order(responses, chunk), chunk), Response)


def _in_order(responses: pl.DataFrame, chunk: pl.DataFrame) -> pl.DataFrame:
    place = chunk.select("fact_id", place=pl.int_range(pl.len()))
    return responses.join(place, on="fact_id").sort("place", "form", "prompt", "sample").drop("place")
