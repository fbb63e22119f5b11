"""diff --tuned: a whole model, with a revision and files of its own."""

from pathlib import Path

import pytest

import tiny
from commands import call, options
from knowpack import store
from knowpack.config import ModelConfig, ServedConfig
from knowpack.model.locations import whole_model

SMALL = ["probe.n_prompts=1", "probe.n_shots=1", "probe.max_new_tokens=4", "probe.noise=false"]
SMALL += ["further.n_facts=0", "further.n_forms=0"]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_tuned(tiny.save_all(tmp_path_factory.mktemp("tuned")))


def test_a_tuned_model_has_a_revision_of_its_own(given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was looked for at the base's revision: another commit of it, or none at all."""
    whole = ["--set", "model.revision=v1", "--tuned", given / "tuned", "--work", tmp_path / "work"]
    assert call(monkeypatch, "diff", *options(given, SMALL), *whole, "--out", tmp_path / "diff", "--quiet") == 0
    manifest = store.read_manifest(tmp_path / "diff")
    assert manifest["after"]["revision"] is None  # type: ignore[index]
    assert f"--tuned {given / 'tuned'} " in f"{manifest['again']} "
    assert "model.revision=v1" in str(manifest["again"])


BASE = ModelConfig(name="owner/base", revision="v1", dtype="bfloat16", device="cpu")


@pytest.mark.parametrize(
    ("tuned", "name", "revision"),
    [
        ("owner/tuned", "owner/tuned", None),
        ("owner/tuned@v2", "owner/tuned", "v2"),
        ("owner/tuned@refs/pr/7", "owner/tuned", "refs/pr/7"),
        ("owner/tuned:q4.gguf@v2", "owner/tuned:q4.gguf", "v2"),
        ("lab", "lab", None),
        ("./out/tuned@2", "./out/tuned@2", None),
        ("out/deep/tuned@2", "out/deep/tuned@2", None),
        ("served:http://here:8000/v1#tuned@v2", "served:http://here:8000/v1#tuned@v2", None),
    ],
)
def test_the_revision_of_a_tuned_model_stands_in_its_name(tuned: str, name: str, revision: str | None) -> None:
    after = whole_model(tuned, BASE)
    assert (after.name, after.revision) == (name, revision)
    assert (after.dtype, after.device) == ("bfloat16", "cpu")


def test_a_folder_with_an_at_in_its_name_is_no_hubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out" / "tuned@2").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert whole_model("out/tuned@2", BASE).name == "out/tuned@2"


def test_a_served_tuned_model_is_not_compared_with_the_weights_of_its_base(given: Path, tmp_path: Path) -> None:
    """It was refused: "as served is not the model in ..."; a folder with the tokenizer alone is both's."""
    tiny.tokenizer().save_pretrained(tmp_path / "tokenizer")
    expected = {
        str(given / "model"): None,
        "owner/base": None,
        str(tmp_path / "tokenizer"): str(tmp_path / "tokenizer"),
    }
    for weights, theirs in expected.items():
        asked_by = {"weights": weights, "concurrency": 3}
        base = ModelConfig.model_validate({"name": "served:http://here:8000/v1#base", "served": asked_by})
        served = whole_model("served:http://here:8000/v1#tuned", base).served
        assert (served.weights, served.concurrency) == (theirs, 3)
        here = whole_model("owner/tuned", base)
        assert ModelConfig.model_validate(here.model_dump()).served == ServedConfig(), "no server's settings are left"
