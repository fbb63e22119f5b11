"""What others read of a model's name: its hub name where it has one, no path of this machine."""

import json
from pathlib import Path

import pytest

import tiny
from knowpack.config import ModelConfig
from knowpack.model import public_name
from knowpack.model.load import load


def folder_told_as(path: Path, name: object) -> str:
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"_name_or_path": name}))
    return str(path)


def test_a_name_that_the_hub_knows_is_itself(tmp_path: Path) -> None:
    assert public_name.hub_id("Qwen/Qwen2.5-0.5B") == "Qwen/Qwen2.5-0.5B"
    assert public_name.hub_id("gpt2") == "gpt2"
    assert public_name.hub_id("smollm2") == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert (
        public_name.hub_id("unsloth/gemma-3-270m-it-GGUF:gemma-3-270m-it-Q8_0.gguf") == "unsloth/gemma-3-270m-it-GGUF"
    )
    assert public_name.hub_id(folder_told_as(tmp_path / "mine", "owner/model")) == "owner/model"
    snapshot = folder_told_as(tmp_path / "models--owner--a-model" / "snapshots" / "0a1b", "")
    assert public_name.hub_id(snapshot) == "owner/a-model"


@pytest.mark.parametrize("told", ["/home/somebody/model", "a/b/c", "", None, 7, "../model", "weights"])
def test_a_folder_that_does_not_say_its_hub_name_has_none(tmp_path: Path, told: object) -> None:
    folder = folder_told_as(tmp_path / "mine", told)
    assert public_name.hub_id(folder) is None
    assert public_name.public(folder) == "mine"


def test_owner_and_model_that_are_a_folder_here_are_no_hub_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint of out/model, saved elsewhere, says out/model: that is the folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out" / "model").mkdir(parents=True)
    assert public_name.hub_id(folder_told_as(tmp_path / "again", "out/model")) is None


def test_the_lab_and_a_served_model_are_on_no_hub() -> None:
    assert public_name.hub_id("lab") is None
    assert public_name.public("lab") == "lab"
    assert public_name.public("served:http://10.0.0.7:8000/v1#mine") == "mine"


def test_licences_are_those_that_stand_beside_the_weights(tmp_path: Path) -> None:
    assert public_name.licence("smollm2") == "apache-2.0"
    assert public_name.licence("lab") == "apache-2.0"
    (tmp_path / "README.md").write_text("---\nlicense: llama3.1\n---\n# A model\n")
    assert public_name.licence(str(tmp_path)) == "llama3.1"
    (tmp_path / "README.md").write_text("---\nlicense: [a, {b\n---\n")
    assert public_name.licence(str(tmp_path)) is None
    assert public_name.licence("owner/never-seen-here") is None


def test_a_command_keeps_the_last_name_of_each_path_from_the_root() -> None:
    typed = (
        "knowpack pack '/home/me/my facts.csv' --model owner/model --set probe.shots=/srv/x/shots.csv --out out/real"
    )
    told = "knowpack pack 'my facts.csv' --model owner/model --set probe.shots=shots.csv --out out/real"
    assert public_name.command(typed) == told
    assert public_name.command("knowpack run ~/a/b.yaml 'C:\\Users\\me\\c.csv'") == "knowpack run b.yaml c.csv"


def test_a_text_loses_paths_from_the_root_and_no_address() -> None:
    text = "made in /home/me/out/real from https://host/a/b, 1/2 of train/loss at /srv"
    assert public_name.without_paths(text) == "made in real from https://host/a/b, 1/2 of train/loss at srv"


def test_a_loaded_model_keeps_its_path_and_its_adapters_get_the_public_name(
    tmp_path: Path,
) -> None:
    """By its last folder alone plain peft would look for it on the hub when it saves an adapter."""
    folder = str(tiny.save_model(tmp_path / "mine"))
    assert load(ModelConfig(name=folder)).model.name_or_path == folder
    assert public_name.public(folder) == "mine"
    assert public_name.public(load(ModelConfig(name="lab")).model.name_or_path) == "lab"
