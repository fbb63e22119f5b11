"""How likely a model finds the right answers, their best distractors, and unrelated text.

Facts + a few-shot prompt -> `Likelihood` rows; passages -> `PassageScore` rows. Nothing is generated: this is what
greedy answers do not show, for a right answer that is not given may be a close second or far away.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import polars as pl

from knowpack.errors import ConfigError
from knowpack.measure.normalised import normalise
from knowpack.probe.askers import Answers, check_logprobs
from knowpack.probe.prompts import Prompter
from knowpack.probe.turns import Shot
from knowpack.records import Fact, rows, table
from knowpack.seeds import stream

LONGEST_PASSAGE = 256  # tokens
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The right answer to one fact against other answers of its relation, under one prompt."""

    fact_id: str
    right: float
    """Log-probability of the canonical answer, nats, summed over its tokens."""
    wrong: float | None
    """That of the most likely distractor; None = its relation has no other answers."""
    distractor: str | None


@dataclass(frozen=True, slots=True)
class PassageScore:
    """A passage of text."""

    passage: int
    logprob: float
    """Nats, summed over n_tokens."""
    n_tokens: int


def likelihoods(
    asker: Answers,
    prompter: Prompter,
    facts: pl.DataFrame,
    everything: pl.DataFrame,
    shots: Sequence[Shot],
    n_distractors: int,
    seed: int = 0,
) -> pl.DataFrame:
    """Table of Likelihood: each fact's canonical answer and n_distractors others of its relation, drawn by the seed."""
    pools = {
        str(relation): sorted(set(answers))
        for relation, answers in everything.drop_nulls("relation")
        .group_by("relation")
        .agg(pl.col("answers").list.first())
        .iter_rows()
    }
    facts_asked = list(rows(facts, Fact))
    choices = [(fact.answers[0], *_distractors(fact, pools, n_distractors, seed)) for fact in facts_asked]
    batch = prompter.batch(
        shots, [fact.question for fact, mine in zip(facts_asked, choices, strict=True) for _ in mine]
    )
    scored = asker.logprobs(batch.prefix, batch.tails, [prompter.answer_ids(one) for mine in choices for one in mine])
    check_logprobs(one.logprob for one in scored)
    scores = iter(scored)
    result = []
    for fact, mine in zip(facts_asked, choices, strict=True):
        each = [next(scores).logprob for _ in mine]
        best = max(range(1, len(each)), key=lambda i: each[i], default=None)
        wrong = (None, None) if best is None else (each[best], mine[best])
        result.append(Likelihood(fact.fact_id, each[0], *wrong))
    return table(result, Likelihood)


def passages(name: str) -> list[str]:
    """auto: the package's own text; else a file, its passages parted by blank lines. Raises ConfigError."""
    if name == AUTO:
        text = files("knowpack.facts").joinpath("data", "unrelated.txt").read_text(encoding="utf-8")
    else:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"further.text={name}: {error}; give a text file in UTF-8, or auto") from None
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
    if not paragraphs:
        raise ConfigError(f"further.text={name} holds no text")
    return paragraphs


def score_passages(asker: Answers, prompter: Prompter, texts: Sequence[str]) -> pl.DataFrame:
    """Table of PassageScore: each passage by itself, after the first token (BOS where the tokenizer has one)."""
    bos = prompter.tokenizer.bos_token_id
    cut = [prompter.continuation(text)[:LONGEST_PASSAGE] for text in texts]
    heads = [[bos] if bos is not None else ids[:1] for ids in cut]
    tails = [ids if bos is not None else ids[1:] for ids in cut]
    scored = asker.logprobs([], heads, tails)
    check_logprobs(one.logprob for one in scored)
    scores = [PassageScore(i, one.logprob, len(tails[i])) for i, one in enumerate(scored) if tails[i]]
    return table(scores, PassageScore)


def _distractors(fact: Fact, pools: dict[str, list[str]], n: int, seed: int) -> Iterator[str]:
    """Other answers of the fact's relation that are none of its own."""
    own = {normalise(answer) for answer in fact.answers}
    pool = [one for one in pools.get(str(fact.relation), []) if normalise(one) not in own]
    for place in stream(seed, "distractors", fact.fact_id).permutation(len(pool))[:n]:
        yield pool[place]
