"""Ask a model every fact under every prompt, and keep what it said.

Fact table + few-shot prompts + an asker -> Response table (Pletenev et al. 2025, section 3.1: 10 prompts x 4 shots,
greedy, 32 new tokens; sampled answers as in SliCK, Gekhman et al. 2024). Works through the facts in chunks of under a
minute each, so that memory does not grow with them and a killed probe goes on at the next chunk. The result does not
depend on the chunks.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from knowpack import records, store
from knowpack.config import ProbeConfig
from knowpack.errors import FactsError
from knowpack.measure.grading import grade_table
from knowpack.probe.askers import Answers, Ids, Keeps, Prompted, TextAnswers
from knowpack.probe.by_text import lines_by_text
from knowpack.probe.line_end import LineEnd, cut
from knowpack.probe.pace import Counted, chunk_facts
from knowpack.probe.prompts import Batch, Prompter, Shot
from knowpack.probe.questions import Line, Questions, questions_of
from knowpack.probe.sureness import Sureness, sureness
from knowpack.probe.turns import Turns
from knowpack.progress import SILENT, Progress
from knowpack.records import Response
from knowpack.seeds import seed_of

WAVE_ROWS = 512  # answers decoded together, at least, where there are as many
CHUNK_FACTS = 1024  # facts a chunk, at most: eight batches of 128
TEXT_CHUNK_FACTS = 64  # of a model that is asked by text: 640 requests under ten prompts


class _Answer(NamedTuple):
    """A greedy answer; the newest of a fact is a draft of its next."""

    fact_id: str
    prompt: int
    form: int
    ids: list[int]
    text: str
    sure: Sureness | None


@dataclass(frozen=True, slots=True)
class _Job:
    """What is the same for every chunk."""

    asker: Answers
    prompter: Prompter
    shots: Sequence[Sequence[Shot]]
    config: ProbeConfig
    forms: Sequence[int]
    line_end: LineEnd | None
    """Where a plain prompt's answers end; None: at the end of sequence alone."""

    def text(self, ids: Ids) -> str:
        """What was answered."""
        whole = self.prompter.decode(ids)
        return whole if self.line_end is None else cut(whole)


@dataclass(frozen=True, slots=True)
class _TextJob:
    """The same of a model that is asked by chat messages."""

    asker: TextAnswers
    turns: Turns
    shots: Sequence[Sequence[Shot]]
    config: ProbeConfig
    forms: Sequence[int]


Told = dict[tuple[str, int, int], str]  # (fact_id, prompt, form) -> the greedy answer of another model


def probe(
    asker: Answers | TextAnswers,
    facts: pl.DataFrame,
    shots: Sequence[Sequence[Shot]],
    prompter: Prompter | Turns,
    config: ProbeConfig,
    *,
    chunks: store.Chunks | None = None,
    drafts: pl.DataFrame | pl.LazyFrame | None = None,
    forms: Sequence[int] = (0,),
    progress: Progress = SILENT,
) -> pl.LazyFrame:
    """Fact table -> Response table: by facts in the order given, then form, prompt, sample.

    shots: one few-shot draw a prompt. forms: 0 the question, k its k-th paraphrase, -k its k-th from the last;
    facts without that wording are left out. drafts: another model's responses to the same prompts (the base's, when
    an adapter is probed): they make it faster, never different. chunks: write each chunk of facts there, go on where
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
            counted = Counted(advance)
            with _kept(asker, chunks, n):
                part = _probe_chunk(job, chunk, drafts, counted)
                chunks.append(part) if chunks else parts.append(part)
            counted.up_to(len(chunk) * len(shots) * len(forms))
    return store.scan_table(chunks.finish(), Response) if chunks else pl.concat(parts).lazy()


def regrade(responses: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """The same responses under the graders of today; no model needed."""
    return _in_schema(grade_table(responses, facts))


def _job(
    asker: Answers | TextAnswers,
    prompter: Prompter | Turns,
    shots: Sequence[Sequence[Shot]],
    config: ProbeConfig,
    forms: Sequence[int],
) -> _Job | _TextJob:
    if isinstance(asker, TextAnswers):
        assert isinstance(prompter, Turns), "who is asked by text gets turns"
        return _TextJob(asker, prompter, shots, config, forms)
    assert not isinstance(prompter, Turns), "who is asked by ids gets a tokenizer's prompter"
    line_end = LineEnd(prompter.decode) if config.stop and not prompter.chat else None
    return _Job(asker, prompter, shots, config, forms, line_end)


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


def _probe_chunk(
    job: _Job | _TextJob, chunk: pl.DataFrame, drafts: pl.DataFrame | pl.LazyFrame | None, counted: Counted
) -> pl.DataFrame:
    lines: list[Line] = []
    newest: dict[str, _Answer] = {}
    told = _told(drafts, chunk, job.config) if isinstance(job, _Job) else {}
    for form in job.forms:
        asked = questions_of(chunk, form)
        if not asked.texts:
            continue
        if isinstance(job, _Job):
            lines += _lines_by_ids(job, asked, newest, told, counted)
        else:
            lines += lines_by_text(job.asker, job.turns, job.shots, asked, job.config)
    return _table(lines, chunk)


def _lines_by_ids(job: _Job, asked: Questions, newest: dict[str, _Answer], told: Told, counted: Counted) -> list[Line]:
    """Every question under every prompt, wave by wave; `newest` is brought up to date."""
    lines: list[Line] = []
    canonical = [job.prompter.answer_ids(answer) for answer in asked.answers] if job.config.logprob else []
    for wave in _waves(len(job.shots), len(asked.texts)):
        batches = {prompt: job.prompter.batch(job.shots[prompt], asked.texts) for prompt in wave}
        answers = _answers(job, asked, batches, newest, told, counted)
        newest |= {one.fact_id: one for one in answers}
        logprobs: dict[tuple[int, str], float] = {}
        for prompt, batch in batches.items():
            if job.config.logprob:
                scored = job.asker.logprobs(batch.prefix, batch.tails, canonical)
                logprobs |= {
                    (prompt, fact_id): one.logprob for fact_id, one in zip(asked.fact_ids, scored, strict=True)
                }
            lines += _sampled(job, asked, prompt, batch)
        for one in answers:
            logprob = logprobs.get((one.prompt, one.fact_id))
            sure = one.sure or (None, None)
            lines.append(Line(one.fact_id, one.prompt, one.form, 0, one.text, logprob, *sure))
    return lines


def _waves(n_prompts: int, n_questions: int) -> Iterator[range]:
    """Prompts that are decoded together: the first alone, since its answers are drafts of the rest; then as many as
    fill a batch with rows (a step of ten rows takes about as long as one of a hundred)."""
    yield range(min(1, n_prompts))
    together = -(-WAVE_ROWS // n_questions)
    for first in range(1, n_prompts, together):
        yield range(first, min(first + together, n_prompts))


def _answers(
    job: _Job,
    asked: Questions,
    batches: Mapping[int, Batch],
    newest: dict[str, _Answer],
    told: Told,
    counted: Counted,
) -> list[_Answer]:
    """Greedy answers under each prompt of a wave, prompt by prompt."""
    prompted = [
        Prompted(
            batch.prefix,
            batch.tails,
            _drafts(job.prompter, asked, prompt, newest, told) if job.config.drafts else None,
        )
        for prompt, batch in batches.items()
    ]
    each = job.asker.generate_each(
        prompted, max_new_tokens=job.config.max_new_tokens, until=job.line_end, finished=counted.one
    )
    found = []
    for prompt, rows in zip(batches, each, strict=True):
        for fact_id, form, one in zip(asked.fact_ids, asked.forms, rows, strict=True):
            sure = sureness(one, job.prompter.decode(one.ids), job.prompter.decode)
            found.append(_Answer(fact_id, prompt, form, one.ids, job.text(one.ids), sure))
    return found


def _sampled(job: _Job, asked: Questions, prompt: int, batch: Batch) -> list[Line]:
    lines: list[Line] = []
    for sample in range(1, job.config.n_samples + 1):
        seed = seed_of(job.config.shots_seed, "sampling", prompt, sample)  # of no fact: chunks may begin anywhere
        sampled = job.asker.generate(
            batch.prefix,
            batch.tails,
            max_new_tokens=job.config.max_new_tokens,
            temperature=job.config.temperature,
            seed=seed,
            until=job.line_end,
        )
        for i, ids in enumerate(sampled):
            lines.append(Line(asked.fact_ids[i], prompt, asked.forms[i], sample, job.text(ids)))
    return lines


def _told(drafts: pl.DataFrame | pl.LazyFrame | None, chunk: pl.DataFrame, config: ProbeConfig) -> Told:
    if drafts is None or not config.drafts:
        return {}
    mine = drafts.lazy().filter(pl.col("fact_id").is_in(chunk["fact_id"].implode()), pl.col("sample") == 0)
    columns = mine.select("fact_id", "prompt", "form", "text").collect()
    return {(fact_id, prompt, form): text for fact_id, prompt, form, text in columns.iter_rows()}


def _drafts(
    prompter: Prompter, asked: Questions, prompt: int, newest: dict[str, _Answer], told: Told
) -> list[Ids | None]:
    """What each fact will probably be answered: as under the last prompt, or as the other model did under this one.

    The other model is believed until it was wrong the last time.
    """
    drafts: list[Ids | None] = []
    for fact_id, form in zip(asked.fact_ids, asked.forms, strict=True):
        last, other = newest.get(fact_id), told.get((fact_id, prompt, form))
        agreed = last is None or told.get((fact_id, last.prompt, last.form)) == last.text
        if other is not None and agreed:
            drafts.append(prompter.continuation(other))
        else:
            drafts.append(last.ids if last else None)
    return drafts


def _table(lines: list[Line], chunk: pl.DataFrame) -> pl.DataFrame:
    """Ungraded lines -> Response table, in the facts' order: the same rows whatever the chunk's size."""
    kinds = records.schema(Response)
    told = pl.DataFrame(lines, schema={name: kinds[name] for name in Line._fields}, orient="row")
    place = chunk.select("fact_id", place=pl.int_range(pl.len()))
    ordered = told.join(place, on="fact_id").sort("place", "form", "prompt", "sample").drop("place")
    return _in_schema(grade_table(ordered, chunk))


def _in_schema(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(kind) for name, kind in records.schema(Response).items())
