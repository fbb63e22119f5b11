"""The commands: what they print, what they refuse."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from knowpack.bench.outcomes import Sample
from knowpack.cli.bench import app
from knowpack.records import Score, table
from knowpack.store import write_json, write_table

from .conftest import build


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    loaded = build("llama")
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


def test_prepare_run_and_compare(model: Path, raw: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    data = str(tmp_path / "data")
    prepared = run(app, ["prepare", str(raw), "--out", data])
    assert prepared.exit_code == 0
    assert "171" in prepared.output  # 57 subjects of three questions
    common = ["--model", str(model), "--tasks", "arc_easy,logiqa", "--data", data, "--quiet"]
    for name in ("base", "other"):
        done = run(app, [*common, "--out", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert "acc_norm" in done.output
    compared = run(
        app, ["compare", str(tmp_path / "base"), str(tmp_path / "other"), "--out", str(tmp_path / "c.parquet")]
    )
    assert compared.exit_code == 0
    assert "+0.0000" in compared.output  # a model differs from itself by nothing
    assert (tmp_path / "c.parquet").is_file()


def test_a_metric_without_a_range_that_nothing_moved_has_no_interval_to_print(tmp_path: Path) -> None:
    for name in ("base", "other"):
        folder = tmp_path / name / "steps"
        rows = [Sample("steps", i, f"h{i}", "n_steps", 3.0 + i, None, "") for i in range(4)]
        write_table(folder / "samples.parquet", table(rows, Sample))
        write_table(folder / "scores.parquet", table([Score("steps", "n_steps", 4.5, None, 4)], Score))
        write_json(folder / "task.json", {"groups": {}})
    done = CliRunner().invoke(app, ["compare", str(tmp_path / "base"), str(tmp_path / "other")])
    assert done.exit_code == 0, done.output
    assert "+0.0000" in done.output


def test_requests_longer_than_the_window_are_printed_task_by_task(model: Path, data: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    shutil.copytree(model, small)
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 60}))
    command = ["--model", str(small), "--tasks", "arc_easy,mmlu_anatomy", "--data", str(data), "--quiet"]
    for _ in range(2):  # also where nothing is left to compute
        done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "out")])
        assert done.exit_code == 0, done.output
        assert (
            "mmlu_anatomy: 12 requests were longer than the model's window of 60" in done.output
        )  # 3 items, 4 choices
        assert "arc_easy:" not in done.output


def test_help_shows_an_example() -> None:
    for command in ([], ["compare"], ["prepare"]):
        assert "Example: knowpack bench" in CliRunner().invoke(app, [*command, "--help"]).output


def test_lm_eval_knows_the_model_by_name(model: Path) -> None:
    from lm_eval.api.registry import get_model

    import knowpack.bench.__main__  # noqa: F401  # registers it

    lm = get_model("knowpack").create_from_arg_string(
        f"pretrained={model},n_tokens=64", {"batch_size": 1, "device": "cuda:0"}
    )
    assert lm.n_tokens == 64
    assert torch.cuda.is_available() or lm.device.type == "cpu"  # cuda:0 is what lm-eval says where nobody said it
