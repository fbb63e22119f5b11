"""kp.pack, kp.diff, kp.probe and kp.study: results that show themselves, and modules that stay modules."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import knowpack as kp
import tiny
from knowpack.errors import ConfigError
from knowpack.facts.sources import load


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.save_model(tmp_path_factory.mktemp("api") / "model"))


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, object]:
    settings = {"probe.n_prompts": 2, "probe.n_shots": 1, "probe.max_new_tokens": 6}
    return {"work": tmp_path / "work", "settings": settings | {"probe.shots": str(tiny.save_shots(tmp_path / "s.csv"))}}


@pytest.fixture
def facts(tmp_path: Path) -> pl.DataFrame:
    return load(tiny.save_facts(tmp_path / "facts.parquet"))


def test_the_calls_are_modules_too() -> None:
    code = (
        "import knowpack as kp, sys\n"
        "assert 'torch' not in sys.modules\n"
        "assert kp.pack.__name__ == 'knowpack.pack' and callable(kp.pack)\n"
        "import knowpack.pack.flow, knowpack.study\n"
        "from knowpack.probe.probe import probe\n"
        "assert callable(kp.pack) and callable(kp.study) and callable(kp.diff) and callable(kp.probe)\n"
        "assert kp.pack.flow.pack.__module__ == 'knowpack.pack.flow'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_frame_is_probed(model: str, facts: pl.DataFrame, asked: dict[str, object], tmp_path: Path) -> None:
    found = kp.probe(model=model, facts=facts, out=tmp_path / "probe", sample=10, **asked)
    assert found.facts.height == 10
    assert found.responses.height == 10 * 2
    assert set(found.knowledge["fact_id"]) <= set(facts["fact_id"])
    assert "10 facts" in repr(found)
    assert "<table" in found._repr_html_()


def test_pack_gives_a_verdict_and_no_error(
    model: str, facts: pl.DataFrame, asked: dict[str, object], tmp_path: Path
) -> None:
    new = pl.DataFrame({"question": ["Who is Zed <b>?", "Who is Ypsilon?"], "answer": ["Ann", "Bob"]})
    recipe = {"train.recipe": "keep", "train.max_steps": 2, "train.tail_steps": 2, "train.n_replay": 4}
    small = {"train.n_made_up": 0, "train.n_texts": 0, "train.n_contexts": 0, "train.lr": 1e-2, "train.from_layer": 0}
    settings = {**asked["settings"], **recipe, **small, "n_report": 8, "n_validation": 4}
    result = kp.pack(
        new,
        known=facts,
        model=model,
        out=tmp_path / "out",
        budget={"known_lost": 0.1},
        work=asked["work"],
        settings=settings,
    )
    assert result.verdict in ("not met", "not measured")  # a random model learns nothing in four steps
    assert result.adapter == tmp_path / "out" / "adapter"
    assert result.page.is_file()
    assert {"reliability"} <= set(result.figures["name"])
    assert result.figures.filter(pl.col("name") == "reliability", pl.col("grader") == "default")["n"].to_list() == [2]
    assert result.shifts.height
    assert result.tables
    assert repr(result).endswith(f"report: {result.page}")
    assert "May it ship?" in result._repr_html_()
    audit = kp.diff(
        model=model,
        adapter=result.adapter,
        facts=facts,
        out=tmp_path / "diff",
        sample=10,
        budget={"known_lost": 0.5},
        **asked,
    )
    assert audit.adapter is None
    assert audit.verdict in ("met", "not met", "not measured")
    assert audit.responses["fact_id"].n_unique() == 10


def test_a_study_from_its_file(model: str, asked: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        f"name: small\nbase:\n  model: {{name: {model}}}\n  facts: {{path: {tmp_path / 'f.parquet'}}}\n"
        f"  work: {tmp_path / 'work'}\n  mix: {{n_unknown: 4}}\n  train: {{epochs: 1}}\ncells:\n- {{label: '4'}}\n"
    )
    tiny.save_facts(tmp_path / "f.parquet")
    settings = {f"base.{name}": value for name, value in asked["settings"].items()}
    result = kp.study(path, settings=settings)
    assert result.figures["label"].unique().to_list() == ["4"]
    assert result.unfinished == []


def test_what_is_wrong_is_said_before_work_begins(model: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one of adapter and tuned"):
        kp.diff(model=model, out=tmp_path / "d")
    with pytest.raises(ConfigError, match="known_losd"):
        kp.pack("facts.csv", model=model, out=tmp_path / "p", budget={"known_losd": 0.1})
    assert not list(tmp_path.iterdir())
