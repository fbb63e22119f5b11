"""The paper's settings and its authors': what a preset sets, what stands above it, and the paper's whole grid."""

from pathlib import Path

import polars as pl
import pytest

from knowpack import presets, records
from knowpack.config import PlainRecipe, RunConfig, StudyConfig
from knowpack.errors import ConfigError
from knowpack.paper import reference
from knowpack.records import Fact, Knowledge
from knowpack.settings import load, override
from knowpack.train.mix import mix

EXAMPLES = Path(__file__).parents[1] / "examples"


def trained(config: RunConfig) -> PlainRecipe:
    assert isinstance(config.train, PlainRecipe)
    return config.train


@pytest.mark.parametrize("name", presets.NAMES)
def test_every_setting_of_a_preset_is_one_of_ours_and_is_cited(name: str) -> None:
    config = RunConfig(preset=name)  # an unknown key would be refused
    for key, value in presets.dotted(name).items():
        section, _, setting = key.partition(".")
        found = getattr(config, section)
        found = getattr(found, setting) if setting else found
        assert (list(found) if isinstance(found, tuple) else found) == value
    lines = (Path(presets.__file__).parent / f"{name}.yaml").read_text().splitlines()
    bare = [line for line in lines if ":" in line and "#" not in line and not line.endswith(":")]
    assert bare == []


def test_the_text_and_the_code_differ_where_they_are_known_to() -> None:
    paper, authors = RunConfig(preset="paper"), RunConfig(preset="authors")
    assert (trained(paper).batch_size, trained(authors).batch_size) == (16, 8)
    assert (trained(paper).group_by_length, trained(authors).group_by_length) == (False, True)
    assert (paper.mix.first_rows, authors.mix.first_rows) == (False, True)
    assert (paper.probe.second_bos, authors.probe.second_bos) == (False, True)
    assert (paper.probe.draw_seed, authors.probe.draw_seed) == (0, None)
    assert (paper.train.init_seed, authors.train.init_seed) == (None, 0)
    assert all(config.mix.cap_extra and trained(config).loss == "all" for config in (paper, authors))


def test_what_stands_beside_a_preset_is_above_it(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("preset: authors\ntrain: {batch_size: 4}\n")
    assert trained(load(path, RunConfig)).batch_size == 4
    assert trained(load(path, RunConfig)).epochs == 10
    assert trained(override(RunConfig(), ["train.lr=1", "preset=paper"])).lr == 1  # whatever the order
    assert trained(override(RunConfig(preset="paper"), ["preset=authors"])).batch_size == 8


def test_a_stored_config_reads_as_it_was() -> None:
    config = override(RunConfig(preset="authors"), ["train.batch_size=5"])
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config
    study = StudyConfig.model_validate({"preset": "paper", "seeds": [3], "base": {"train": {"epochs": 2}}})
    assert StudyConfig.model_validate(study.model_dump(mode="json")) == study
    assert (study.seeds, trained(study.base).epochs, study.base.grader) == ((3,), 2, "paper")


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(ConfigError, match="no preset 'papr'; known: paper, authors"):
        override(RunConfig(), ["preset=papr"])


def test_shots_in_order_read_no_seed() -> None:
    with pytest.raises(ConfigError, match=r"shots_in_order .* reads no"):
        override(RunConfig(), ["probe.shots_in_order=true", "probe.shots_seed=3"])


def stand_in() -> tuple[pl.DataFrame, pl.DataFrame]:
    """As many facts of each category as the paper's Table 1 has, each with ten wordings."""
    counts = dict(reference.table(1).iter_rows())
    names = [(f"{category[0]}{i}", category) for category, n in counts.items() for i in range(n)]
    wordings = tuple(f"{k}?" for k in range(10))
    facts = records.table([Fact(name, f"{name}?", (f"{name}!",), wordings) for name, _ in names], Fact)
    rows = [Knowledge(name, "paper", 10, 0.0, str(category), "", 0.0) for name, category in names]
    return facts, records.table(rows, Knowledge)


@pytest.mark.parametrize("name", presets.NAMES)
def test_every_cell_of_the_papers_grid_can_be_mixed(name: str) -> None:
    study = load(EXAMPLES / "paper.yaml", StudyConfig, [f"preset={name}"])
    facts, known = stand_in()
    assert known["category"].value_counts().height == 3
    assert len(study.runs()) == 90
    n_highly = 2732  # Table 1
    short = 0
    for run in study.runs():
        assert run.preset == name
        n, k = run.mix.n_unknown, run.mix.n_highly_known
        found = mix(facts, known, run.mix, run.seed, run.grader)
        assert found.height == n + min(n * k, n_highly) + n * run.mix.n_paraphrase
        short += n * k > n_highly
    assert short == 9  # 500 + 10, 3000 + 1 and 3000 + 10 HighlyKnown, of three seeds
