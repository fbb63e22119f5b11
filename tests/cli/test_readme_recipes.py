"""README's three recipes and its lines of Python, run from top to bottom in one folder, as a reader would.

The words are README's own. What is put in their place, for time: the lab instead of smollm2, few facts and steps in the
study and in pack's recipe, and, behind a command, smaller samples (a later option or setting wins).
"""

import re
import shlex
import shutil
import textwrap
from pathlib import Path

import pytest
import yaml

from commands import call
from knowpack import store
from knowpack.config import KeepRecipe
from knowpack.records import Shift
from knowpack.train import recipes

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
RECIPES = TEXT.partition("## Three ways to use it")[2].partition("\n## ")[0].replace("\\\n", " ")
LAB = ["--model", "lab"]
ASKED = ("probe.n_prompts=2", "probe.max_new_tokens=12", "probe.n_floors=1")
BESIDE = ("further.n_facts=10", "further.n_forms=5", "further.n_distractors=2")
SET = [part for one in (*ASKED, *BESIDE) for part in ("--set", one)]
SMALL = {
    "pack": [*LAB, "--screen", "160", "--sample", "60", *SET],
    "diff": [*LAB, "--screen", "160", *SET],
    "study": [
        "base.facts.sample=100",
        "base.train.epochs=2",
        "base.bench.limit=4",
        *(f"base.{one}" for one in (*ASKED, *BESIDE)),
    ],
    "show": [],
}
TOO_LARGE = ("examples/smollm2.yaml", "examples/paper.yaml")  # hours, and a GPU: loaded and checked in test_cli.py
FEW = {"n_replay": 60, "n_made_up": 10, "n_texts": 4, "n_contexts": 1, "replay_batch": 12, "max_steps": 12}


def commands() -> list[list[str]]:
    """The words of every knowpack command of the section, in its order."""
    lines = re.findall(r"^ {4}(knowpack .*)$", RECIPES, flags=re.M)
    return [shlex.split(line, comments=True)[1:] for line in lines]


def python() -> str:
    """The lines of Python."""
    block = re.search(r"^ {4}import knowpack as kp\n(?: {4}.*\n)+", RECIPES, flags=re.M)
    assert block is not None
    return textwrap.dedent(block[0])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with examples/, to stand in; trainings are short in it."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    demo = tmp_path / "examples" / "demo.yaml"
    study = yaml.safe_load(demo.read_text(encoding="utf-8"))
    for cell in study["cells"]:
        cell["mix.n_unknown"] = 12  # of a hundred facts, about twenty are HighlyKnown
        if cell.get("train.recipe") == "keep":
            cell |= {f"train.{name}": value for name, value in FEW.items()} | {"train.tail_steps": 2}
        elif "train.epochs" in cell:
            cell["train.epochs"] = 1
    demo.write_text(yaml.safe_dump(study), encoding="utf-8")
    short = KeepRecipe(rank=8, alpha=8, tail_steps=2, **FEW)
    monkeypatch.setattr(recipes, "for_model", lambda *_: short)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of a training cut this short a note may be due
def test_the_recipes_of_the_readme_run_one_after_the_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [words for words in commands() if not set(words) & set(TOO_LARGE)]
    assert [words[0] for words in asked] == ["pack", "study", "show", "diff"]
    for words in asked:
        code = call(monkeypatch, *words, *SMALL[words[0]])
        said = capsys.readouterr()
        assert code in ((0, 3) if words[0] == "pack" else (0,)), said.err  # 3: a limit is not met, as README says
        if words[0] == "pack":
            ends = [line.partition(":")[0] for line in said.out.splitlines()[-3:]]
            assert ends == ["verdict", "report", "adapter"]
            assert (folder / "out/real/adapter/adapter_config.json").is_file()
            assert (folder / "out/real/report.html").is_file()
        if words[0] == "show":
            assert said.out.count("done") == 4
    assert (folder / "work/studies/demo/report.html").is_file()
    assert store.read_table(folder / "out/diff/shifts.parquet", Shift)["fact_id"].n_unique() >= 20


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of a training cut this short a note may be due
def test_the_python_of_the_readme_runs(folder: Path) -> None:
    code = python()
    assert code.count("kp.") == 1
    settings = dict(one.split("=") for one in (*ASKED, *BESIDE))
    smaller = {'"smollm2"': '"lab"', "screen=800": "screen=160, sample=60"}
    smaller['settings={"probe.n_prompts": 5}'] = f"settings={settings}"
    for words, others in smaller.items():
        assert code.count(words) == 1
        code = code.replace(words, others)
    exec(code, {})
    assert (folder / "out/python/report.html").is_file()


def test_no_two_recipes_write_into_one_folder() -> None:
    """kp.pack into the folder of another pack is refused: who followed README down to its end was stopped there."""
    outs = re.findall(r"""(?:--out |out=")([\w/]+)""", RECIPES)
    assert len(outs) == len(set(outs)) == 3
