"""How far a probe gets between two writes to disk, and how it counts what has come.

asker + answers a fact -> facts a chunk, of under a minute; answers -> steps of a progress bar.
"""

from knowpack.probe.askers import Answers, Paced, TextAnswers
from knowpack.progress import Advance

CHUNK_MINUTES = 0.75  # that a chunk takes, about; its answers are written at its end


def chunk_facts(asker: Answers | TextAnswers, n_answers: int, most: int) -> int:
    """Facts a chunk, each with n_answers, at most `most`.

    The same for the same model on the same kind of device, so that batches are the same, and with them the last bits
    of log-probabilities; so it goes by the size of the model and not by the clock.
    """
    if not isinstance(asker, Paced):
        return most
    return min(most, max(1, int(CHUNK_MINUTES * asker.answers_a_minute / n_answers)))


class AnswerCounter:
    """Answers of a chunk as they come; whoever answers may tell of them at once, late or never."""

    def __init__(self, advance: Advance) -> None:
        self._advance, self._n = advance, 0

    def one(self) -> None:
        """An answer has come."""
        self._n += 1
        self._advance(1)

    def up_to(self, n: int) -> None:
        """All n have come."""
        self._advance(n - self._n)
