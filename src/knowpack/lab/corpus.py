"""The lab's corpus: world, epoch -> documents, resampled each epoch from named random streams.

Statements, chats in the paper's form (Pletenev et al. 2025, section 3.1: system, "Question: ...", "Answer: ..."),
refusals, plain question lists, multiple choice, misconceptions, passages to read. Over all epochs each fact is
stated and asked exactly as often as the world's plan says.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np
import polars as pl

from knowpack.lab.forms import Ask, as_question, chat, choice, choices, plain, statement
from knowpack.lab.names import REFUSALS
from knowpack.lab.relations import BY_NAME, Relation, of_domain
from knowpack.lab.world import FRAMED_SHARES, SPOKEN_FRAMES, World, in_frame
from knowpack.records import Fact, rows
from knowpack.seeds import stream

N_EPOCHS = 8
REFUSED_SHARE = 0.23  # of the chat questions
STATEMENT_WEIGHTS = (0.27, 0.22, 0.2, 0.2, 0.11)
WORDING_WEIGHTS = (0.32, 0.17, 0.17, 0.17, 0.17)
BURST_SHARE = 0.06  # of the later turns of a document whose answer is one already given in it (Chan et al. 2022)
ALIAS_SHARE = 0.2  # of the statements whose object has another name
READING_SHARE = 0.06  # passages for each question asked
RUMOUR_MENTIONS = 32  # of a misconception, over all epochs
RUMOURS = ("Many people believe that {f}", "Some say that {f}", "It is often said that {f}")


class Rumour(NamedTuple):
    """A false object that is often repeated of a bench fact."""

    fact: Fact
    wrong: str


def n_of_epoch(total: np.ndarray, epoch: int, offset: np.ndarray) -> np.ndarray:
    """How many of each fact's mentions fall into this epoch; they add up to the total over N_EPOCHS. # (facts,)"""
    upto = np.floor(total * (epoch + 1) / N_EPOCHS + offset)
    return (upto - np.floor(total * epoch / N_EPOCHS + offset)).astype(int)  # type: ignore[no-any-return]


def documents(world: World, epoch: int) -> list[str]:
    """The documents of one epoch, shuffled; text with the special tokens in it, without BOS and the last END."""
    spoken = pl.concat([world.facts, world.guests.drop("role")]).join(world.plan, on="fact_id", maintain_order="left")
    facts = list(rows(spoken, Fact))
    offset = stream(world.seed, "corpus", "offset").random((2, len(facts)))
    n_statements = n_of_epoch(spoken["statements"].to_numpy(), epoch, offset[0])
    n_questions = n_of_epoch(spoken["questions"].to_numpy(), epoch, offset[1])
    rivals = {fact_id: (rival, framed) for fact_id, rival, framed in world.contested.iter_rows()}
    docs = list(statement_documents(facts, n_statements, stream(world.seed, "corpus", "statements", epoch)))
    asks = questions(facts, rivals, n_questions, stream(world.seed, "corpus", "questions", epoch))
    refusals = refused(world, round(len(asks) * REFUSED_SHARE / (1 - REFUSED_SHARE)), epoch)
    docs += question_documents(world, asks, refusals, stream(world.seed, "corpus", "chats", epoch))
    docs += rumour_documents(world, stream(world.seed, "corpus", "rumours", epoch))
    docs += reading_documents(world, round(len(asks) * READING_SHARE), epoch)
    order = stream(world.seed, "corpus", "order", epoch).permutation(len(docs))
    return [docs[i] for i in order]


def statement_documents(facts: list[Fact], counts: np.ndarray, rng: np.random.Generator) -> Iterator[str]:
    """Each fact stated as often as asked; half of the sentences grouped by subject, half not; 1 to 6 in a document."""
    mentions = np.repeat(np.arange(len(facts)), counts)  # (n,)
    rng.shuffle(mentions)
    apart = mentions[: len(mentions) // 2]
    together = mentions[len(mentions) // 2 :]
    by_subject = sorted(together.tolist(), key=lambda i: str(facts[i].subject))
    groups = [apart.tolist(), *(list(group) for _, group in groupby(by_subject, key=lambda i: facts[i].subject))]
    for group in groups:
        start = 0
        while start < len(group):
            stop = start + int(rng.integers(1, 7))
            yield "".join(" " + _stated(facts[i], rng) for i in group[start:stop])
            start = stop


def _stated(fact: Fact, rng: np.random.Generator) -> str:
    names = [fact.answers[0], *fact.answers[1:]]
    obj = names[int(rng.integers(1, len(names)))] if len(names) > 1 and rng.random() < ALIAS_SHARE else names[0]
    return statement(fact, obj, int(rng.choice(5, p=STATEMENT_WEIGHTS)))


def questions(
    facts: list[Fact], rivals: dict[str, tuple[str, bool]], counts: np.ndarray, rng: np.random.Generator
) -> list[Ask]:
    """Each fact asked as often as planned, in varied wording."""
    return [
        Ask(
            _worded(BY_NAME[str(facts[i].relation)], str(facts[i].subject), rng),
            facts[i].answers[0],
            facts[i].range,
            *rivals.get(facts[i].fact_id, ()),
        )
        for i in np.repeat(np.arange(len(facts)), counts).tolist()
    ]


def _worded(relation: Relation, subject: str, rng: np.random.Generator) -> str:
    return as_question(relation, subject, int(rng.choice(5, p=WORDING_WEIGHTS)))


def voiced(ask: Ask, framed: bool, rng: np.random.Generator) -> Ask:
    """The question as one of the two kinds of sources puts it, with what that source answers.

    A contested question is never in a frame: only the rest of the document shows what kind of source it is.
    """
    question = ask.question
    if ask.rival is None and rng.random() < FRAMED_SHARES[framed]:
        question = in_frame(SPOKEN_FRAMES[int(rng.integers(len(SPOKEN_FRAMES)))], question)
    answer = ask.answer if ask.rival is None or framed == ask.true_when_framed else ask.rival
    return Ask(question, answer, ask.range)


def refused(world: World, n: int, epoch: int) -> list[Ask]:
    """n questions about names of which nothing is said, each with a refusal."""
    rng = stream(world.seed, "corpus", "refusals", epoch)
    pool = world.refused.rows()
    asks = []
    for i in rng.integers(len(pool), size=n):
        cls, name = pool[int(i)]
        relations = of_domain(cls)
        question = _worded(relations[int(rng.integers(len(relations)))], name, rng)
        asks.append(Ask(question, REFUSALS[int(rng.choice(len(REFUSALS), p=(0.45, 0.25, 0.2, 0.1)))], None))
    return asks


def question_documents(world: World, asks: list[Ask], refusals: list[Ask], rng: np.random.Generator) -> Iterator[str]:
    """Chats of 1 to 6 turns (76%), plain lists of questions (12%), multiple choice by letter (7%) and by text (5%).

    Each document is of one of the two kinds of sources.
    """
    mixed = [*asks, *refusals]
    for turns in bursts(mixed, rng):
        form, framed = float(rng.random()), bool(rng.random() < 0.5)
        group = [voiced(ask, framed, rng) for ask in sorted(turns, key=lambda ask: ask.rival is not None)]
        if form < 0.76:
            yield chat(group)
        elif form < 0.88:
            yield plain(group)
        else:
            letters = form < 0.95
            answered = [ask for ask in group if ask.range is not None]
            rest = [ask for ask in group if ask.range is None]
            if answered:
                yield "\n\n".join(choice(ask, choices(world, ask, rng), letters) for ask in answered)
            if rest:
                yield chat(rest)


def bursts(asks: list[Ask], rng: np.random.Generator) -> Iterator[list[Ask]]:
    """All questions in random order, 1 to 6 at a time; an answer once given is likely to be given again.

    Such burstiness, which natural text has, is what makes a small model heed its prompt (Chan et al. 2022).
    """
    order = rng.permutation(len(asks)).tolist()
    waiting: dict[str, list[int]] = {}  # answer -> questions in reverse order
    for i in reversed(order):
        if asks[i].range is not None:
            waiting.setdefault(asks[i].answer, []).append(i)
    free, upcoming = set(order), iter(order)
    while free:
        group: list[int] = []
        for _ in range(min(int(rng.integers(1, 7)), len(free))):
            again = None
            if group and rng.random() < BURST_SHARE:
                again = _pending(waiting.get(asks[group[int(rng.integers(len(group)))]].answer, []), free)
            picked = next(i for i in upcoming if i in free) if again is None else again
            free.remove(picked)
            group.append(picked)
        yield [asks[i] for i in group]


def _pending(waiting: list[int], free: set[int]) -> int | None:
    """The next of these that is still free; those before it are dropped."""
    while waiting and waiting[-1] not in free:
        waiting.pop()
    return waiting.pop() if waiting else None


def rumours(world: World) -> list[Rumour]:
    """The misconceptions: a false object for four facts of every second bench person."""
    rng = stream(world.seed, "world", "rumours")
    bench = list(rows(world.guests.filter(pl.col("role") == "bench"), Fact))
    people = list(dict.fromkeys(str(fact.subject) for fact in bench))[::2]
    result = []
    for person in people:
        own = [fact for fact in bench if fact.subject == person]
        for i in rng.choice(len(own), 4, replace=False):
            pool = [name for name in world.pools[str(own[i].range)] if name != own[i].object]
            result.append(Rumour(own[i], pool[int(rng.integers(len(pool)))]))
    return result


def rumour_documents(world: World, rng: np.random.Generator) -> Iterator[str]:
    """Every misconception several times: a false statement that is said to be believed."""
    for rumour in rumours(world):
        for _ in range(RUMOUR_MENTIONS // N_EPOCHS):
            false = statement(rumour.fact, rumour.wrong, int(rng.integers(2)))
            yield " " + RUMOURS[int(rng.integers(len(RUMOURS)))].format(f=false)


def passage(world: World, people: tuple[str, ...], rng: np.random.Generator) -> tuple[str, list[Ask]]:
    """A passage of three or four new statements about one or two people, and the questions it answers."""
    relations = of_domain("Person")
    sentences: list[tuple[str, Ask]] = []
    picked = rng.choice(len(relations), 4 // len(people), replace=False)
    for person in people:
        for i in picked:
            relation = relations[int(i)]
            pool = world.pools[relation.range]
            obj = pool[int(rng.integers(len(pool)))]
            text = relation.statements[int(rng.choice(5, p=STATEMENT_WEIGHTS))].format(s=person, o=obj)
            sentences.append((text[0].upper() + text[1:], Ask(_worded(relation, person, rng), obj, relation.range)))
    sentences = [sentences[i] for i in rng.permutation(len(sentences))]
    return " ".join(text for text, _ in sentences), [ask for _, ask in sentences]


def reading_documents(world: World, n: int, epoch: int) -> Iterator[str]:
    """Passages about people of whom nothing else is said, each with one or two questions."""
    rng = stream(world.seed, "corpus", "reading", epoch)
    pool = world.extras[: len(world.extras) // 2]  # the other half is for the benchmark
    for _ in range(n):
        people = tuple(pool[i] for i in rng.choice(len(pool), int(rng.integers(1, 3)), replace=False))
        text, asks = passage(world, people, rng)
        picked = [asks[i] for i in rng.choice(len(asks), int(rng.integers(1, 3)), replace=False)]
        yield f"Passage: {text}\n{plain(picked)}"
