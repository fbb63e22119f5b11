"""Few-shot prompts as chat turns: what is said to a model, before anything is tokenized.

(system text, shots, question) -> messages. The turns of Pletenev et al. 2025, section 3.1: system "Answer the following
question.", user "Question: ...", assistant "Answer: ...". prompts.py makes ids of them; a TextAsker takes them as they
are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

SYSTEM = "Answer the following question."
Message = dict[str, str]
"""{"role": system, user or assistant, "content": text}"""


class Shot(NamedTuple):
    """One worked example of a few-shot prompt."""

    question: str
    answer: str


def messages(system: str, shots: Sequence[Shot], question: str, answer: str | None = None) -> list[Message]:
    """The chat turns; with an answer the assistant's turn is closed. system "": no turn of its own."""
    turns = [{"role": "system", "content": system}] if system else []
    for shot in shots:
        turns.append({"role": "user", "content": f"Question: {shot.question}"})
        turns.append({"role": "assistant", "content": f"Answer: {shot.answer}"})
    turns.append({"role": "user", "content": f"Question: {question}"})
    if answer is not None:
        turns.append({"role": "assistant", "content": f"Answer: {answer}"})
    return turns


@dataclass(frozen=True, slots=True)
class Turns:
    """Renders questions for a model that takes chat messages: the same turns that a Prompter tokenizes."""

    system: str = SYSTEM
    chat: bool = True
    """Always: the shots are turns of a conversation."""

    def messages(self, shots: Sequence[Shot], question: str) -> list[Message]:
        """The whole prompt, up to where the model's answer begins."""
        return messages(self.system, shots, question)
