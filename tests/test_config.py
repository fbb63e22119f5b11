"""Unknown keys, wrong values, and what the hash covers."""

from pathlib import Path

import pytest

from knowpack.config import RunConfig, StudyConfig, fingerprint
from knowpack.errors import ConfigError
from knowpack.settings import load, override


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("train.lrr=1", "unknown key 'train.lrr' (train.recipe=plain); known: alpha"),
        ("train.lr=-1", "train.lr: expected more than 0, got -1"),
        ("train.lr", "expected key=value"),
        ("seed.deep=1", "seed is one setting"),
        ("probe.n_held_out_forms=5", "lets into training"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(setting: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r".*") as caught:
        override(RunConfig(), [setting])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_1e_3_is_a_number(tmp_path: Path) -> None:
    assert override(RunConfig(), ["train.lr=1e-3"]).train.lr == 1e-3
    path = tmp_path / "run.yaml"
    path.write_text("train: {lr: 2e-3}\n")
    assert load(path, RunConfig).train.lr == 2e-3


@pytest.mark.parametrize("text", ["a: [", "- 1", "just text"])
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        load(path, RunConfig)


def test_the_hash_leaves_out_what_changes_no_result() -> None:
    base = RunConfig()
    assert fingerprint(override(base, ["probe.batch_size=7", "probe.drafts=false"]), "probe") == fingerprint(
        base, "probe"
    )
    assert fingerprint(override(base, ["probe.n_shots=3"]), "probe") != fingerprint(base, "probe")


def test_a_grid_is_cells_by_seeds() -> None:
    cells = ({"label": "one", "mix.n_unknown": 1}, {"label": "ten", "mix.n_unknown": 10, "train.lr": 1e-2})
    runs = StudyConfig(seeds=(1, 2), cells=cells).runs()
    assert [(run.label, run.seed, run.mix.n_unknown) for run in runs] == [
        ("one", 1, 1),
        ("one", 2, 1),
        ("ten", 1, 10),
        ("ten", 2, 10),
    ]
    assert runs[2].train.lr == 1e-2


def test_two_cells_of_one_label_are_refused() -> None:
    with pytest.raises(ValueError, match="label of its own"):
        StudyConfig(cells=({"label": "a"}, {"label": "a"}))


def test_a_seed_that_stands_twice_is_refused() -> None:
    """The same run counted twice, and the interval over seeds was too narrow."""
    with pytest.raises(ValueError, match="each one once"):
        StudyConfig(seeds=(1, 2, 1), cells=({"label": "a"},))


@pytest.mark.parametrize("name", ["seed", "work"])
def test_a_cells_setting_that_nothing_reads_is_refused(name: str) -> None:
    """A cell's seed was written over by the study's; with a work of its own its run was done, and missing."""
    with pytest.raises(ValueError, match=f"the cell a sets {name}"):
        StudyConfig(cells=({"label": "a", name: 3},))


def test_a_bases_seed_that_no_run_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"set seeds: \[7\]"):
        StudyConfig(base=RunConfig(seed=7), cells=({"label": "a"},))
    again = StudyConfig(seeds=(7,), base=RunConfig(seed=7), cells=({"label": "a"},))
    assert StudyConfig.model_validate_json(again.model_dump_json()) == again, "as it travels to a worker"


def test_a_label_that_looks_like_a_number_stays_text() -> None:
    study = StudyConfig(cells=({"label": "50", "mix.n_unknown": 50},))
    assert study.runs()[0].label == "50"
