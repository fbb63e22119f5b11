"""How the lab's facts are put: as sentences, questions, chats, lists of questions, multiple choice.

The chat is the paper's (Pletenev et al. 2025, section 3.1): system, "Question: ...", "Answer: ...".
"""

from typing import NamedTuple

import numpy as np

from knowpack.lab.relations import BY_NAME, Relation
from knowpack.lab.world import World
from knowpack.records import Fact

BOS, END, PAD = "<|bos|>", "<|end|>", "<|pad|>"
SYSTEM, USER, ASSISTANT = "<|system|>", "<|user|>", "<|assistant|>"
SPECIAL = (PAD, BOS, END, SYSTEM, USER, ASSISTANT)
SYSTEM_TEXT = "Answer the following question."  # Pletenev et al. 2025, section 3.1


class Ask(NamedTuple):
    """A question with its answer."""

    question: str
    answer: str
    range: str | None
    """The class of the answer; None: a refusal."""
    rival: str | None = None
    """What the other kind of source answers, where sources disagree."""
    true_when_framed: bool = False


def statement(fact: Fact, obj: str, wording: int) -> str:
    """A relation in words: "Ada Hill was born in Branvik."."""
    text = BY_NAME[str(fact.relation)].statements[wording].format(s=fact.subject, o=obj)
    return text[0].upper() + text[1:]


def as_question(relation: Relation, subject: str, wording: int = 0) -> str:
    """A relation as a question: "Where was Ada Hill born?"."""
    return relation.questions[wording].format(s=subject)


def chat(asks: list[Ask]) -> str:
    """A conversation in the paper's form; the template in tokenizer.py gives the same text."""
    turns = "".join(f"{USER}Question: {ask.question}{END}{ASSISTANT}Answer: {ask.answer}{END}" for ask in asks)
    return f"{SYSTEM}{SYSTEM_TEXT}{END}{turns}".removesuffix(END)


def plain(asks: list[Ask]) -> str:
    """Questions without a chat, as lm-evaluation-harness writes them."""
    return "\n\n".join(f"Question: {ask.question}\nAnswer: {ask.answer}" for ask in asks)


def choices(world: World, ask: Ask, rng: np.random.Generator, n: int = 4) -> list[str]:
    """The right answer and n - 1 others of its class, shuffled."""
    pool = [name for name in world.pools[str(ask.range)] if name != ask.answer]
    picked = [ask.answer, *(pool[i] for i in rng.choice(len(pool), n - 1, replace=False))]
    return [picked[i] for i in rng.permutation(n)]


def choice(ask: Ask, options: list[str], letters: bool) -> str:
    """One multiple-choice question, answered by letter or by text."""
    if letters:
        listed = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=True))
        return f"Question: {ask.question}\n{listed}\nAnswer: {'ABCD'[options.index(ask.answer)]}"
    return f"Question: {ask.question}\nChoices: {', '.join(options)}\nAnswer: {ask.answer}"
