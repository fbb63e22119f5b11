"""Is the served model the one whose files are here, and does an adapter do there what it does here?

A few questions are asked of the server; where the weights are on this machine, transformers is asked how likely the
server's answers are, and the two log-probabilities are compared. A server may ignore an adapter, or a part of it,
without a word (vllm issues 48019, 47026). Nothing is echoed here: vLLM 0.32 on a CPU dies of it where
adapters are enabled.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from knowpack.decode.decoder import Decoder
from knowpack.errors import ModelError
from knowpack.model.loaded import Loaded
from knowpack.model.merge import merged
from knowpack.probe.askers import Generated, Prompted, TokenAsker
from knowpack.probe.prompts import Prompter

QUESTIONS = (
    "What is the capital of France?",
    "What is the chemical symbol of gold?",
    "In which country is Kyoto?",
    "How many days are there in a week?",
)
N_TOKENS = 8
MOST_ROUNDING = 0.2
"""Nats a token. bfloat16 against float32 differs by some hundredths; other weights by whole nats."""
LEAST_ROUNDING = 0.01
NO_EFFECT = 1e-6
"""Nats, of a whole answer."""


class Checked(NamedTuple):
    """What the base gave at the start."""

    tails: list[list[int]]
    served: list[Generated]
    gap: float | None
    """How far server and transformers are apart, nats a token; None = the weights are not here."""


def check_base(asker: TokenAsker, loaded: Loaded | None) -> Checked:
    """Ask a few questions. Raises ModelError where server and transformers disagree by more than rounding."""
    batch = Prompter(asker.tokenizer).batch((), QUESTIONS)
    tails = [[*batch.prefix, *tail] for tail in batch.tails]
    served = _answers(asker, tails)
    if loaded is None:
        return Checked(tails, served, None)
    gap = _largest(_served(served), _here(loaded, tails, served), served)
    if not gap <= MOST_ROUNDING:
        raise ModelError(
            f"{asker.name} as served is not the model in {loaded.name}: log-probabilities of a few answers differ by "
            f"{gap:.2g} nats a token; give its own files with model.served.weights"
        )
    return Checked(tails, served, gap)


def check_adapter(tuned: TokenAsker, base: Checked, adapter: str | Path, loaded: Loaded | None) -> None:
    """Ask the same with the adapter. Raises ModelError where it has no effect there, or another than transformers'."""
    served = _answers(tuned, base.tails)
    same = [one.ids for one in served] == [one.ids for one in base.served]
    if same and _largest(_served(served), _served(base.served), served) <= NO_EFFECT:
        raise ModelError(
            f"the adapter {adapter} changes nothing on the server: it is ignored there, or empty; nothing was measured"
        )
    if loaded is None or base.gap is None:
        return
    before = _here(loaded, base.tails, served)
    with merged(loaded, adapter) as merged_model:
        after = _here(merged_model, base.tails, served)
    effect = _largest(after, before, served)
    gap = _largest(_served(served), after, served)
    if not gap <= 0.5 * effect + 3 * base.gap + LEAST_ROUNDING:
        raise ModelError(
            f"the adapter {adapter} does something else on the server than by peft: answers are {gap:.2g} nats "
            f"a token off, where it moves them by {effect:.2g}; nothing was measured"
        )


def _answers(asker: TokenAsker, tails: Sequence[list[int]]) -> list[Generated]:
    return asker.generate_each([Prompted([], tails)], max_new_tokens=N_TOKENS)[0]


def _served(answers: Sequence[Generated]) -> list[float]:
    """Nats of each answer by the server, without its stop token."""
    return [sum((one.logprobs or ())[: len(one.ids)]) for one in answers]


def _here(loaded: Loaded, tails: Sequence[list[int]], answers: Sequence[Generated]) -> list[float]:
    """The same by transformers."""
    return [one.logprob for one in Decoder(loaded).logprobs([], tails, [one.ids for one in answers])]


def _largest(first: Sequence[float], second: Sequence[float], answers: Sequence[Generated]) -> float:
    """The largest difference, nats a token."""
    rows = zip(first, second, answers, strict=True)
    return max(abs(a - b) / max(1, len(one.ids)) for a, b, one in rows)
