"""Facts to keep where there is no table of them: the model writes its own questions, and its own answers are held.

model + few-shot prompts + seed -> Fact table of source `self-written`. It is given its own template up to where a
question begins, bare and behind few-shot examples, and goes on at temperature 1; the answer is the one that it gives
itself, a refusal too. Nobody says that these answers are true: what is measured of them is whether they are kept.
"""

from pathlib import Path
from typing import NamedTuple

import polars as pl

from knowpack import store
from knowpack.base import prompter_for
from knowpack.config import RunConfig
from knowpack.decode.decoder import Decoder
from knowpack.decode.transformers_asker import weights_of
from knowpack.errors import ModelError
from knowpack.facts import sources
from knowpack.facts.columns import MIN_CHARS
from knowpack.facts.from_config import shot_pool
from knowpack.measure.grading import first_line
from knowpack.measure.normalised import normalise
from knowpack.pack.request import NONE, Request, config_of, known_of
from knowpack.probe.askers import Asker, Prompted
from knowpack.probe.probe import probe
from knowpack.probe.prompts import Prompter
from knowpack.probe.shots import draw_shots
from knowpack.probe.turns import Shot
from knowpack.progress import SILENT, Progress
from knowpack.records import SELF_WRITTEN, Fact, fact_id_of, table
from knowpack.seeds import seed_of
from knowpack.served.opening import open_asker

N_CONTEXTS = 4  # few-shot prompts that questions are written behind, beside none
MOST_ROUNDS = 6  # of as many questions as are wanted
QUESTION_TOKENS, QUESTION_WORDS = 32, range(3, 31)


class Kept(NamedTuple):
    """Facts to keep, and the model where it had to be asked for them."""

    facts: pl.DataFrame
    asker: Asker | None


def known_facts(request: Request, asker: Asker | None, progress: Progress = SILENT) -> Kept:
    """The table that harm is measured on and replay is drawn from: a source, a file, or what the model writes."""
    if known_of(request) != NONE:
        return Kept(sources.load(known_of(request)), asker)
    if asker is None:
        asker = open_asker(request.model, request.probe.batch_size)
    config = config_of(request, table([], Fact))
    prompter = prompter_for(asker, config.probe)
    if not isinstance(prompter, Prompter):
        raise ModelError("--known none needs the model in memory, not one that is asked by text")
    folder = Path(request.work) / SELF_WRITTEN
    return Kept(facts_to_keep(asker, prompter, config, request.n_written, folder, progress), asker)


def facts_to_keep(
    asker: Asker, prompter: Prompter, config: RunConfig, n: int, folder: Path, progress: Progress = SILENT
) -> pl.DataFrame:
    """Up to n questions of the model with its answers; kept in `folder` by what decides them."""
    shots = draw_shots(
        shot_pool(config),
        N_CONTEXTS,
        config.probe.n_shots,
        config.probe.draw_seed,
        skip=2 * config.probe.n_prompts,  # those that training reserves: no probe asks under them
    )
    key = [asker.identity._asdict(), [[list(shot) for shot in draw] for draw in shots], prompter.system, n, config.seed]
    path = folder / f"{store.hash_of(key)}.parquet"
    if not path.is_file():
        questions = written(asker, prompter, shots, n, config.seed, progress)
        path.parent.mkdir(parents=True, exist_ok=True)
        store.write_table(path, answered(asker, prompter, config, shots[0], questions, progress))
    return store.read_table(path, Fact)


def written(
    asker: Asker, prompter: Prompter, shots: list[list[Shot]], n: int, seed: int, progress: Progress = SILENT
) -> list[str]:
    """Up to n different questions, the same for the same seed."""
    decoder = Decoder(weights_of(asker, "--known none"))
    begun = [prompter.before_question(context) for context in [[], *shots]]
    questions: dict[str, str] = {}
    with progress.stage("the model writes its own questions", n) as advance:
        for number in range(MOST_ROUNDS):
            each = -(-n // len(begun))
            prompts = [Prompted(ids[:-1], [ids[-1:]] * each) for ids in begun]
            answers = decoder.generate_each(
                prompts,
                max_new_tokens=QUESTION_TOKENS,
                temperature=1.0,
                seed=seed_of(seed, "self-written", str(number)),
            )
            before = len(questions)
            for one in (one for context in answers for one in context):
                question = question_of(prompter.decode(one.ids))
                if question is not None and len(questions) < n:
                    questions.setdefault(normalise(question), question)
            advance(len(questions) - before)
            if len(questions) == n:
                break
    return list(questions.values())


def question_of(text: str) -> str | None:
    """The question at the head of what was written; None where it is none."""
    head, mark, _ = text.strip().partition("?")
    question = " ".join(f"{head}{mark}".split())
    is_question = bool(mark) and "\n" not in head.strip() and question.isprintable()
    return question if is_question and len(question.split()) in QUESTION_WORDS else None


def answered(
    asker: Asker,
    prompter: Prompter,
    config: RunConfig,
    shots: list[Shot],
    questions: list[str],
    progress: Progress = SILENT,
) -> pl.DataFrame:
    """Questions with the model's own greedy answers -> Fact table. Raises ModelError where hardly any is answered."""
    question_of = {fact_id_of(SELF_WRITTEN, None, None, None, question): question for question in questions}
    blank = [Fact(fact_id, question, ("?",), source=SELF_WRITTEN) for fact_id, question in question_of.items()]
    if not blank:
        raise ModelError("the model wrote no question behind its own template; give a table with --known")
    plain = config.probe.model_copy(update={"logprob": False, "n_samples": 0})
    responses = probe(asker, table(blank, Fact), [shots], prompter, plain, progress=progress).collect()
    answers = {fact_id: first_line(text) for fact_id, text in responses.select("fact_id", "text").iter_rows()}
    facts = [
        Fact(fact_id, question_of[fact_id], (answer,), source=SELF_WRITTEN)
        for fact_id, answer in answers.items()
        if len(answer) >= MIN_CHARS and normalise(answer)
    ]
    return table(facts, Fact)
