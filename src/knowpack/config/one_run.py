"""One run: its sections together, and what of them changes a result."""

from collections.abc import Mapping
from typing import Literal

from pydantic import model_validator

from knowpack import presets
from knowpack.config.evaluation import BenchConfig, FactsConfig, FurtherConfig, ModelConfig, ProbeConfig, Seed
from knowpack.config.training import MixConfig, PlainRecipe, Recipe
from knowpack.settings import Section

Preset = Literal["paper", "authors"]


class RunConfig(Section):
    """One cell: everything that one run does."""

    label: str = "run"
    preset: Preset | None = None
    """Sets what is not set beside it: paper, what the paper's text says; authors, what its authors' code does."""
    seed: Seed = 42
    grader: Literal["default", "paper"] = "default"
    """Which grader decides the mix; both are always stored."""
    model: ModelConfig = ModelConfig()
    facts: FactsConfig = FactsConfig()
    probe: ProbeConfig = ProbeConfig()
    mix: MixConfig = MixConfig()
    train: Recipe = PlainRecipe()
    bench: BenchConfig = BenchConfig()
    further: FurtherConfig = FurtherConfig()
    work: str = "work"

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, data: object) -> object:
        return presets.beneath(data) if isinstance(data, Mapping) else data

    @classmethod
    def spelled_out(cls, settings: Mapping[str, object]) -> dict[str, object]:
        """A preset among dotted settings sets all that it stands for but what is set beside it."""
        name = settings.get("preset")
        return {**(presets.dotted(str(name)) if name is not None else {}), **settings}

    @model_validator(mode="after")
    def _held_out(self) -> "RunConfig":
        if self.probe.n_held_out_forms > self.mix.held_out_wordings:
            raise ValueError(
                f"probe.n_held_out_forms={self.probe.n_held_out_forms} asks for wordings that "
                f"mix.held_out_wordings={self.mix.held_out_wordings} lets into training"
            )
        return self


NOT_A_RESULT = {
    "model": {"device", "adapter", "served"},
    "probe": {"batch_size", "drafts"},
    "bench": {"batch_size", "data"},
    "train": {"track", "checkpoint_seconds"},
}


def fingerprint(config: RunConfig, *names: str) -> dict[str, object]:
    """What changes a result, of the named sections, as plain JSON; for `store.hash_of`."""
    plain = config.model_dump(mode="json", include=set(names))
    for section, left_out in NOT_A_RESULT.items():
        if isinstance(plain.get(section), dict):
            plain[section] = {key: value for key, value in plain[section].items() if key not in left_out}
    return plain
