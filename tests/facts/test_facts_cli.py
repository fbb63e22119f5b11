"""The facts commands from the command line."""

from pathlib import Path

import polars as pl
from typer.testing import CliRunner

from knowpack.facts.cli import app


def test_lint_exit_code_tells_and_paraphrase_fills(tmp_path: Path) -> None:
    run = CliRunner()
    (tmp_path / "bad.csv").write_text("question,answer,relation\nWhere is Lima Zoo?,Lima,city\n", encoding="utf-8")
    found = run.invoke(app, ["lint", str(tmp_path / "bad.csv")])
    assert found.exit_code == 1
    assert "'Lima' in 'Where is Lima Zoo?'" in found.output
    (tmp_path / "good.csv").write_text("question,answer,relation\nWhere is the zoo?,Lima,city\n", encoding="utf-8")
    assert run.invoke(app, ["lint", str(tmp_path / "good.csv")]).exit_code == 0
    out = tmp_path / "more.parquet"
    assert run.invoke(app, ["paraphrase", str(tmp_path / "good.csv"), "--n", "4", "--out", str(out)]).exit_code == 0
    assert pl.read_parquet(out)["paraphrases"].list.len().to_list() == [4]


def test_every_command_shows_an_example() -> None:
    for command in ("import", "lint", "dbpedia", "triples", "paraphrase", "wikidata-aliases"):
        assert "Example: knowpack facts" in CliRunner().invoke(app, [command, "--help"]).output.replace("\n", " "), (
            command
        )
