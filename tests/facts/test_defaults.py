"""Which facts and few-shot examples a model is asked where none are named."""

import polars as pl
import pytest

from knowpack.config import RunConfig
from knowpack.errors import FactsError
from knowpack.facts import sources
from knowpack.facts.from_config import facts_of, shot_pool
from knowpack.records import Fact, schema


@pytest.mark.parametrize(
    ("model", "facts", "shots", "wanted"),
    [
        ("lab", "auto", "auto", ("lab", "lab")),
        ("smollm2", "auto", "auto", ("world", "general")),
        ("meta-llama/Llama-3.1-8B-Instruct", "auto", "auto", ("world", "general")),
        ("smollm2", "lab", "auto", ("lab", "lab")),
        ("lab", "world", "general", ("world", "general")),
        ("smollm2", "mine.csv", "auto", ("mine.csv", "general")),
    ],
)
def test_the_labs_world_is_no_other_models_unless_named(
    model: str, facts: str, shots: str, wanted: tuple[str, str]
) -> None:
    config = RunConfig(model={"name": model}, facts={"path": facts}, probe={"shots": shots})  # type: ignore[arg-type]
    found = facts_of(config)
    assert (found, sources.shots_for(model, found, shots)) == wanted
    assert shot_pool(config).columns == ["question", "answer"]


def test_every_named_source_gives_what_it_says() -> None:
    for source in sources.SOURCES.values():
        assert source.facts or source.shots
        if source.facts:
            assert set(source.facts().columns) == set(schema(Fact))
        if source.shots:
            assert source.shots().height >= 100


def test_a_made_up_source_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = sources.load("world").head(3)
    monkeypatch.setitem(sources.SOURCES, "mine", sources.Source("three facts", "none", facts=lambda: mine))
    assert sources.load("mine").equals(mine)


def test_an_unknown_source_names_those_there_are() -> None:
    with pytest.raises(FactsError, match="expected lab, world, or"):
        sources.load("wrold")
    with pytest.raises(FactsError, match="expected lab, general, or"):
        sources.load_shots("genral")
    assert isinstance(sources.load_shots("general"), pl.DataFrame)
