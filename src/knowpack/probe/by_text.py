"""The probe of a model that is asked by chat messages: no ids, no drafts, no log-probabilities.

Questions + few-shot prompts + a TextAnswers -> ungraded lines, in no particular order. All prompts of a chunk go out in
one call, so that a server has many requests to work on at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from knowpack.config import ProbeConfig
from knowpack.errors import ConfigError
from knowpack.probe.askers import TextAnswers
from knowpack.probe.questions import Line, Questions
from knowpack.probe.turns import Shot, Turns
from knowpack.seeds import seed_of


@dataclass(frozen=True, slots=True)
class TextJob:
    """What is the same for every chunk."""

    asker: TextAnswers
    turns: Turns
    shots: Sequence[Sequence[Shot]]
    config: ProbeConfig
    forms: Sequence[int]


def lines_by_text(job: TextJob, questions: Questions) -> list[Line]:
    """Every question under every prompt: the greedy answer (sample 0) and config.n_samples sampled ones."""
    asker, config = job.asker, job.config
    chats = [job.turns.messages(draw, question) for draw in job.shots for question in questions.texts]
    keys = [
        (fact_id, prompt, form)
        for prompt in range(len(job.shots))
        for fact_id, form in zip(questions.fact_ids, questions.forms, strict=True)
    ]
    lines: list[Line] = []
    for sample in range(config.n_samples + 1):
        if sample:
            seed = seed_of(config.shots_seed, "sampling by text", sample)
            texts = asker.answer(chats, max_new_tokens=config.max_new_tokens, temperature=config.temperature, seed=seed)
        else:
            texts = asker.answer(chats, max_new_tokens=config.max_new_tokens)
        lines += [Line(*key, sample, text) for key, text in zip(keys, texts, strict=True)]
    return lines


def turns_for(config: ProbeConfig) -> Turns:
    """The turns of a probe by text. Raises ConfigError where a setting asks for what only token ids can give."""
    refused = {
        "probe.logprob=true": config.logprob,
        "probe.chat=false": config.chat is False,
        "probe.second_bos=true": config.second_bos,
    }
    for setting, is_set in refused.items():
        if is_set:
            raise ConfigError(f"{setting} needs a model that is asked by token ids; this one is asked by text")
    return Turns(config.system)
