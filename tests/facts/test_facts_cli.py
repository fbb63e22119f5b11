"""The facts commands from the command line."""

from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import tiny
from knowpack.cli.facts import app
from knowpack.errors import KnowpackError
from knowpack.served import opening


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


THOUGHT = "<think>\nWhere could this zoo be?\nWhat is asked of the zoo?\n</think>\n\n1. In which city is the zoo?"


class ThinksAloud:
    """A TextAnswers that thinks before it writes; its thoughts look like questions."""

    name = "thinks"

    def answer(self, chats, *, max_new_tokens, temperature=0.0, seed=None):  # type: ignore[no-untyped-def]
        return [THOUGHT for _ in chats]


class ThinksInTokens:
    """The same by token ids."""

    def __init__(self) -> None:
        self.tokenizer = tiny.tokenizer()

    def generate(self, prefix, tails, **_):  # type: ignore[no-untyped-def]
        return [self.tokenizer(THOUGHT, add_special_tokens=False)["input_ids"] for _ in tails]


@pytest.mark.parametrize("asker", [ThinksAloud, ThinksInTokens])
def test_a_models_thoughts_are_no_wordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asker: type) -> None:
    monkeypatch.setattr(opening, "open_asker", lambda _: asker())
    (tmp_path / "zoo.csv").write_text("question,answer\nWhere is the zoo?,Callao\n", encoding="utf-8")
    out = tmp_path / "more.parquet"
    command = ["paraphrase", str(tmp_path / "zoo.csv"), "--model", "lab", "--out", str(out), "--quiet"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert pl.read_parquet(out)["paraphrases"].to_list() == [["In which city is the zoo?"]]


def test_every_command_shows_an_example() -> None:
    for command in ("import", "lint", "dbpedia", "triples", "paraphrase", "wikidata-aliases"):
        assert "Example: knowpack facts" in CliRunner().invoke(app, [command, "--help"]).output.replace("\n", " "), (
            command
        )


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("a,b,c\n", [], "holds no N-Triples: got 'a,b,c'"),
        ("<http://x/S> <http://x/P99> <http://x/O> .\n", [], "a relation with no wording (P99): give wordings"),
        ("<http://x/Ann> <http://x/r> <http://x/Bob> .\n", ["--out", "w.csv"], "expected the name of a parquet file"),
        ("<http://x/Ann> <http://x/r> <http://x/Bob> .\n", ["--out", "{}/g.nt/w.parquet"], "cannot write"),
    ],
)
def test_wrong_input_is_one_line_that_says_what_to_do(tmp_path: Path, text: str, options: list[str], told: str) -> None:
    (tmp_path / "g.nt").write_text(text)
    out = ["--out", str(tmp_path / "w.parquet"), *(option.replace("{}", str(tmp_path)) for option in options)]
    found = CliRunner().invoke(app, ["dbpedia", "--triples", str(tmp_path / "g.nt"), "--quiet", *out])
    assert isinstance(found.exception, KnowpackError)
    assert told in str(found.exception)
    assert "\n" not in str(found.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g.nt"]


def test_n_triples_given_to_triples_are_sent_to_the_other_command(tmp_path: Path) -> None:
    (tmp_path / "g.nt").write_text("<http://x/Ann> <http://x/r> <http://x/Bob> .\n")
    found = CliRunner().invoke(app, ["triples", str(tmp_path / "g.nt"), "--out", str(tmp_path / "w.parquet")])
    assert "for N-Triples: knowpack facts dbpedia" in str(found.exception)
