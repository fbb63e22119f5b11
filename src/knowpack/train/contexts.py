"""The contexts that training happens under: the bare question, and few-shot prompts that no probe uses.

shots of each context -> prefix ids, and the ids of questions and answers behind them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from knowpack.train.batch import Row

if TYPE_CHECKING:
    from knowpack.probe.prompts import Prompter
    from knowpack.probe.turns import Shot


class Contexts:
    """Each context's prefix, computed once a batch and shared by its rows."""

    def __init__(self, prompter: "Prompter", shots: Sequence[Sequence["Shot"]]) -> None:
        self.prompter = prompter
        self.shots = tuple(tuple(context) for context in shots)
        self.prefixes = [prompter.batch(context, []).prefix for context in self.shots]

    def __len__(self) -> int:
        return len(self.shots)

    def tails(self, context: int, questions: Sequence[str]) -> list[list[int]]:
        """Ids of each question behind the context's prefix, up to where the answer begins."""
        prefix, batch = self.prefixes[context], self.prompter.batch(self.shots[context], questions)
        tails = []
        for tail in batch.tails:
            ids = [*batch.prefix, *tail]
            assert ids[: len(prefix)] == prefix, "a question changed how its context is tokenized"
            tails.append(ids[len(prefix) :])
        return tails

    def rows(self, context: int, questions: Sequence[str], answers: Sequence[Sequence[int]]) -> list[Row]:
        """Questions with their answers' ids (the end of turn included) -> rows with the loss on the answers."""
        pairs = zip(self.tails(context, questions), answers, strict=True)
        return [Row((*tail, *answer), len(tail)) for tail, answer in pairs]

    def answer(self, question: str, answer: str) -> list[int]:
        """Ids of an answer with its end of turn; the same behind every context."""
        encoded = self.prompter.example(question, answer)
        return encoded.ids[encoded.n_prompt :]
