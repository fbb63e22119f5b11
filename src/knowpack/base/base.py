"""A base model in memory with what it is asked.

RunConfig, whoever answers, a fact table -> Base: the facts and prompts, and a folder `work/base/<hash>/` with what it
answered. The hash covers the weights, the tokenizer, the facts, the prompts and the grader's rules, so whatever shares
them shares the measurement (DESIGN: one base, many adapters). Of few-shot examples in a file of the user's it covers
all that are in it, for the fresh prompts are drawn from the rest.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl

from knowpack import store
from knowpack.config import ProbeConfig, RunConfig, fingerprint
from knowpack.decode.transformers_asker import TransformersAsker, weights_of
from knowpack.facts.from_config import pool_content, shot_pool
from knowpack.measure.grading import GRADER_VERSION
from knowpack.model.loaded import Loaded
from knowpack.probe.askers import Asker, TextAnswers, TokenAsker, by_ids
from knowpack.probe.by_text import turns_for
from knowpack.probe.prompts import Prompter
from knowpack.probe.shots import draw_shots
from knowpack.probe.turns import Shot, Turns
from knowpack.records import Knowledge, Response

KEY_QUESTION = "What is it?"  # its ids under every prompt stand in the key
SHOTS = {"shots", "shots_seed", "shots_in_order", "shot_answers"}
"""The shots themselves are in the key, and the seed where answers are sampled by it."""
NOT_IN_THE_KEY = {"noise", "n_floors", "n_held_out_forms"}  # they leave the first set of answers as it is


class ByIds(NamedTuple):
    """Whoever answers by token ids, with what renders them."""

    asker: TokenAsker
    prompter: Prompter


@dataclass(frozen=True, slots=True)
class Base:
    """A base model in memory, what it is asked, and where its answers lie."""

    folder: Path
    """work/base/<hash>/"""
    asker: Asker
    """Whoever answers."""
    prompter: Prompter | Turns
    """Turns where the model is asked by text."""
    facts: pl.DataFrame
    """Fact table: every fact that is probed."""
    shots: list[list[Shot]]
    """The few-shot draws, one a prompt."""
    pool: pl.DataFrame
    """What they are drawn from, and all later prompts too [question, answer]: read once, lest the file be edited."""
    config: RunConfig
    """The run it was opened for."""
    looks_back: bool = False
    """Is what it answered in another folder of `work/base/` taken from there (answer_cache.py)?"""

    def serves(self, config: RunConfig) -> bool:
        """Does another run ask the same model the same facts under the same prompts?"""
        return _asks(self.config) == _asks(config)

    def tuned(self, adapter: str | Path) -> AbstractContextManager[Asker]:
        """The base with an adapter on it, inside the block; do not ask the base meanwhile."""
        return self.asker.with_adapter(adapter)

    @property
    def by_ids(self) -> ByIds:
        """Asker and prompter of a model that is asked by token ids. Raises ModelError where it is asked by text."""
        asker = by_ids(self.asker, "this")
        assert isinstance(self.prompter, Prompter)
        return ByIds(asker, self.prompter)

    @property
    def loaded(self) -> Loaded:
        """The weights in memory, for training. Raises ModelError where the model is served elsewhere."""
        return weights_of(self.asker, "training")

    def check_unchanged(self) -> None:
        """The base's weights are bit for bit what they were; anything else is a bug and stops the study."""
        if isinstance(self.asker, TransformersAsker):
            self.asker.check_unchanged()

    @property
    def responses(self) -> pl.LazyFrame:
        """What the base answered (Response table, form 0)."""
        return store.scan_table(self.folder / "responses.parquet", Response)

    @property
    def knowledge(self) -> pl.DataFrame:
        """What the base knows (Knowledge table, both graders)."""
        return store.read_table(self.folder / "knowledge.parquet", Knowledge)

    def fresh(self, number: int) -> pl.DataFrame | None:
        """What the base knows under the number-th set of fresh prompts, from 1 (Knowledge); None = not asked."""
        path = self.folder / fresh_name(number) / "knowledge.parquet"
        return store.read_table(path, Knowledge) if path.is_file() else None


def of_facts(config: RunConfig, asker: Asker, facts: pl.DataFrame) -> Base:
    """The base that is asked all of these facts; nothing is measured yet."""
    settings = config.probe
    prompter = prompter_for(asker, settings)
    questions = facts["question"].to_list()
    pool = shot_pool(config)
    shots = draw_shots(pool, settings.n_prompts, settings.n_shots, settings.draw_seed, exclude=questions)
    key = {
        **asker.identity._asdict(),
        "facts": store.hash_table(facts),
        "shots": [[list(shot) for shot in draw] for draw in shots],
        "prompts": store.hash_of([rendered(prompter, draw) for draw in shots]),
        "probe": probe_key(config),
        **sampling_key(settings),
        "grader": GRADER_VERSION,
        **pool_content(config, pool),
    }
    folder = Path(config.work) / "base" / store.hash_of(key)
    return Base(folder, asker, prompter, facts, shots, pool, config)


def rendered(prompter: Prompter | Turns, draw: list[Shot]) -> list[int] | list[dict[str, str]]:
    """A prompt as the model gets it: what a template prints is more than its text (a date, a switch)."""
    if isinstance(prompter, Turns):
        return prompter.messages(draw, KEY_QUESTION)
    return prompter.encode(draw, KEY_QUESTION)


def prompter_for(asker: Asker, config: ProbeConfig) -> Prompter | Turns:
    """What renders the prompts: ids by the model's tokenizer, or turns where it is asked by text."""
    if isinstance(asker, TextAnswers):
        return turns_for(config)
    return Prompter(asker.tokenizer, chat=config.chat, system=config.system, second_bos=config.second_bos)


def fresh_name(number: int) -> str:
    """The folder of a set of fresh prompts, in the base's as in a run's."""
    return f"fresh-{number}"


def _asks(config: RunConfig) -> dict[str, object]:
    return (
        config.model_dump(include={"model", "facts", "work"})
        | probe_key(config)
        | {"pool": (config.probe.shots, config.probe.draw_seed, config.probe.shot_answers)}
    )


def probe_key(config: RunConfig) -> dict[str, object]:
    """The settings of the probe that change an answer."""
    section = fingerprint(config, "probe")["probe"]
    assert isinstance(section, dict)
    return {name: value for name, value in section.items() if name not in NOT_IN_THE_KEY | SHOTS}


def sampling_key(config: ProbeConfig) -> dict[str, object]:
    """{"sampling": seed of the sampled answers}, for the key; empty where all are greedy."""
    return {"sampling": config.shots_seed} if config.n_samples else {}
