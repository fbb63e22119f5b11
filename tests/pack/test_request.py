"""What of a pack's settings reaches the run that its report is made as, its folder's identity and its command."""

from pathlib import Path

import polars as pl
import pytest

from knowpack.config import RunConfig, Section
from knowpack.pack import plan
from knowpack.pack.request import HELD_OUT, Request, command_of, config_of, identity
from knowpack.records import Example, Fact, table

NONE_LEFT = table([], Fact)
OF_PACK = {"facts", "mix"}  # that pack fills in itself
SECTIONS = [
    name
    for name, field in RunConfig.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section) and name not in OF_PACK
]


def test_every_section_of_a_run_can_be_set_in_a_pack() -> None:
    assert {"model", "probe", "bench", "further"} <= set(SECTIONS)
    assert set(SECTIONS) <= set(Request.model_fields)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("further.n_facts", 7), ("bench.limit", 3), ("probe.max_new_tokens", 5)],
)
def test_a_setting_reaches_the_report_the_identity_and_the_command(setting: str, value: int) -> None:
    section, name = setting.split(".")
    plain = Request(out=Path("out"), facts="facts.csv")
    changed = Request.model_validate({"out": "out", "facts": "facts.csv", section: {name: value}})
    assert getattr(getattr(config_of(changed, NONE_LEFT), section), name) == value
    assert _settings(changed) != _settings(plain)
    assert f"--set {setting}={value}" in command_of(changed)


def _settings(request: Request) -> object:
    facts = pl.DataFrame({"question": ["Q"]})
    return identity(request, facts, facts)["settings"]


def test_of_five_wordings_four_are_trained_and_the_last_is_the_reports() -> None:
    """Three were held out, of which the report asked one: two that a user had written were used by nothing."""
    wordings = tuple(f"Wording {i}?" for i in range(1, 6))
    facts = table([Fact("a", "Question?", ("Answer",), wordings)], Fact)
    trained = plan.examples(facts, HELD_OUT, table([], Example))["question"].to_list()
    assert sorted(trained) == ["Question?", "Wording 1?", "Wording 2?", "Wording 3?", "Wording 4?"]
    assert config_of(Request(out=Path("out")), facts).probe.n_held_out_forms == 1  # the last
