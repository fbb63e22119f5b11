"""Is the served model the one whose files are here, and does an adapter do there what it does here?

A few facts are asked of the server and, where the weights are on this machine, of transformers: the log-probabilities
of answers are compared. A server may ignore an adapter, or a part of it, without a word (vllm issues 48019, 47026).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from knowpack.decode.decoder import Decoder
from knowpack.errors import ModelError
from knowpack.model.loaded import Loaded
from knowpack.model.merge import merged
from knowpack.probe.askers import TokenAsker
from knowpack.probe.prompts import Prompter

FACTS = (
    ("What is the capital of France?", "Paris"),
    ("What is the chemical symbol of gold?", "Au"),
    ("In which country is Kyoto?", "Japan"),
    ("How many days are there in a week?", "seven"),
)
N_TOKENS = 8
MOST_ROUNDING = 0.2
"""Nats a token. bfloat16 against float32 differs by some hundredths; other weights by whole nats."""
NO_EFFECT = 1e-6
"""Nats, of a whole answer."""


class _Row(NamedTuple):
    """One answer whose log-probability is compared."""

    tail: list[int]
    answer: list[int]


class Checked(NamedTuple):
    """What the base gave at the start."""

    rows: list[_Row]
    served: list[float]
    """Nats an answer, by the server."""
    here: list[float] | None
    """The same by transformers; None = the weights are not here."""


def check_base(asker: TokenAsker, loaded: Loaded | None) -> Checked:
    """Ask a few facts. Raises ModelError where server and transformers disagree by more than rounding."""
    rows = _rows(asker, loaded)
    served = _of(asker, rows)
    if loaded is None:
        return Checked(rows, served, None)
    here = _of(Decoder(loaded), rows)
    gap = max(abs(a - b) / len(row.answer) for a, b, row in zip(served, here, rows, strict=True))
    if not gap <= MOST_ROUNDING:
        raise ModelError(
            f"{asker.name} as served is not the model in {loaded.name}: log-probabilities of a few answers differ by "
            f"{gap:.2g} nats a token; give its own files with model.served.weights"
        )
    return Checked(rows, served, here)


def check_adapter(tuned: TokenAsker, base: Checked, adapter: str | Path, loaded: Loaded | None) -> None:
    """Ask the same with the adapter. Raises ModelError where it has no effect there, or another than transformers'."""
    served = _of(tuned, base.rows)
    moved = [after - before for after, before in zip(served, base.served, strict=True)]
    if max(map(abs, moved)) <= NO_EFFECT:
        raise ModelError(
            f"the adapter {adapter} changes nothing on the server: it is ignored there, or empty; nothing was measured"
        )
    if loaded is None or base.here is None:
        return
    with merged(loaded, adapter) as whole:
        here = _of(Decoder(whole), base.rows)
    expected = [after - before for after, before in zip(here, base.here, strict=True)]
    effect = max(map(abs, expected))
    gap = max(abs(a - b) for a, b in zip(moved, expected, strict=True))
    longest = max(len(row.answer) for row in base.rows)
    if not gap <= 0.5 * effect + MOST_ROUNDING * longest * min(1.0, effect):
        raise ModelError(
            f"the adapter {adapter} does something else on the server than by peft: it moves the log-probability of an "
            f"answer by up to {effect:.2g} nats here, and {gap:.2g} otherwise there; nothing was measured"
        )


def _rows(asker: TokenAsker, loaded: Loaded | None) -> list[_Row]:
    """Right answers, and what the model answers by itself: transformers' answer where its weights are here."""
    prompter = Prompter(asker.tokenizer)
    batch = prompter.batch((), [question for question, _ in FACTS])
    tails = [[*batch.prefix, *tail] for tail in batch.tails]
    own = (asker if loaded is None else Decoder(loaded)).generate([], tails, max_new_tokens=N_TOKENS)
    right = [prompter.answer_ids(answer, question) for question, answer in FACTS]
    return [_Row(tail, ids) for answers in (right, own) for tail, ids in zip(tails, answers, strict=True) if ids]


def _of(asker: TokenAsker | Decoder, rows: Sequence[_Row]) -> list[float]:
    found = asker.logprobs([], [row.tail for row in rows], [row.answer for row in rows])
    return [one.logprob for one in found]
