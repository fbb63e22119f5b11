"""Settings and wordings that mean harm, or slips that would be read without a word: one line each, before any work."""

from pathlib import Path

import pytest

from knowpack.config import RunConfig, StudyConfig
from knowpack.errors import ConfigError, FactsError
from knowpack.facts import wordings
from knowpack.settings import load, override, read_yaml

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "a key twice": ("seed: 1\nseed: 2\n", "'seed' stands twice"),
    "a key twice inside": ("train:\n  lr: 1e-3\n  lr: 1e-2\n", "'lr' stands twice"),
    "aliases that multiply": (LAUGHS, "aliases written out"),
    "an alias in a circle": ("label: &a [*a]\n", "holds itself"),
    "nested without end": ("label: " + "[" * 100_000, ""),
    "a number of 6,000 digits": ("seed: " + "9" * 6000, "4300"),
    "a tag that runs code": ("label: !!python/object/apply:os.system [true]\n", "could not determine a constructor"),
    "a control character": ("label: \x00\n", ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_of_settings_is_one_line(tmp_path: Path, name: str) -> None:
    text, told = HOSTILE[name]
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"run\.yaml") as caught:
        load(path, RunConfig)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_wordings_are_read_in_the_same_way(tmp_path: Path) -> None:
    for name, text in (("w.yaml", "r: Who is {}?\nr: Who was {}?\n"), ("w.json", '{"r": "Who is {}?", "r": "x {}"}')):
        (tmp_path / name).write_text(text)
        with pytest.raises(FactsError, match="stands twice"):
            wordings.load(str(tmp_path / name))
    (tmp_path / "deep.json").write_text('{"r": ' + "[" * 100_000)
    with pytest.raises(FactsError, match="nested too deep"):
        wordings.load(str(tmp_path / "deep.json"))


def test_anchors_and_merges_are_read() -> None:
    text = "a: &a {lr: 1, rank: 2}\nb: {<<: *a, lr: 3}\nc: [*a, *a]\n"
    assert read_yaml(text) == {"a": {"lr": 1, "rank": 2}, "b": {"lr": 3, "rank": 2}, "c": [{"lr": 1, "rank": 2}] * 2}


@pytest.mark.parametrize("setting", ["train.lr=.inf", "train.lr=.nan", "train.alpha=.inf", "probe.temperature=1e999"])
def test_infinity_is_no_setting(setting: str) -> None:
    with pytest.raises(ConfigError, match=r"finite number|greater than"):
        override(RunConfig(), [setting])


@pytest.mark.parametrize(
    "setting", ["seed=9" + "0" * 30, "probe.shots_seed=-9" + "0" * 30, "facts.sample_seed=1" + "0" * 20]
)
def test_a_seed_is_a_number_of_64_bits(setting: str) -> None:
    with pytest.raises(ConfigError, match=r"expected at (most|least)|expected (less|more) than"):
        override(RunConfig(), [setting])
    assert override(RunConfig(), ["seed=9223372036854775807"]).seed == 2**63 - 1


@pytest.mark.parametrize("label", ["nan", "inf", "infinity", "1_000e", "e5"])
def test_a_label_that_python_reads_as_a_number_stays_a_label(label: str) -> None:
    assert override(RunConfig(), [f"label={label}"]).label == label


CELLS = ({"label": "a"},)


@pytest.mark.parametrize(
    "name", ["a/b", "", "/abs", "../../..", "..", ".", ".hidden", "a\x00b", "a\nb", "n" * 400, "a\\b", "a."]
)
def test_a_study_is_named_as_one_folder_may_be(name: str) -> None:
    with pytest.raises(ValueError, match="a study's name is that of its folder"):
        StudyConfig(name=name, cells=CELLS)


@pytest.mark.parametrize("name", ["demo", "Größe 2", "r=1, n=50", "v1.2_b", "東京"])
def test_names_that_people_give_are_kept(name: str) -> None:
    assert StudyConfig(name=name, cells=CELLS).name == name
