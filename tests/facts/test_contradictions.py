"""The same question twice: told, never dropped without a word."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from knowpack.cli.facts import app
from knowpack.errors import ConfigError, FactsError
from knowpack.facts import sources
from knowpack.facts.column_names import Columns
from knowpack.facts.columns import facts_of
from knowpack.facts.lint import lint
from knowpack.facts.readers import Row, rows
from knowpack.pack.problems import find_problems

TWO = "question,answer\ncapital of X?,Brno\ncapital of Y?,Ur\ncapital of X?,Penang\n"


def of(*given: tuple[str, list[str]], relation: str | None = None, **options: object) -> list[list[str]]:
    table = [
        Row(f"t, {n}", "t", {"question": q, "answers": a, "relation": relation}) for n, (q, a) in enumerate(given, 1)
    ]
    return [list(one) for one in facts_of(table, Columns(), source="t", **options).facts["answers"]]  # type: ignore[arg-type]


def test_brno_and_penang_stop_the_import_in_one_line_with_both_places(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TWO, encoding="utf-8")
    with pytest.raises(FactsError) as caught:
        facts_of(rows(str(tmp_path / "t.csv")), Columns(), source="t")
    said = str(caught.value)
    assert "\n" not in said
    for part in ("line 4: 'capital of X?'", "'Penang'", "'Brno'", "line 2", "--drop-bad", "--multi-answer"):
        assert part in said


def test_drop_bad_leaves_all_rows_of_the_question_out_and_names_each(tmp_path: Path) -> None:
    table, out = tmp_path / "t.csv", tmp_path / "f.parquet"
    table.write_text(TWO + "capital of X?,Brno\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["import", str(table), "--drop-bad", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert sources.load(out)["question"].to_list() == ["capital of Y?"]
    said = " ".join(done.output.split())
    for line, answer in ((2, "Brno"), (4, "Penang"), (5, "Brno")):
        assert f"line {line}: a contradiction: one question, different answers: 'capital of X?': '{answer}'" in said
    named = (tmp_path / "f.left_out.csv").read_text(encoding="utf-8").splitlines()
    assert len(named) == 1 + 3


@pytest.mark.parametrize("out", ["t.parquet", "u.parquet"])
def test_a_table_is_not_written_over_by_its_own_import(out: str, tmp_path: Path) -> None:
    """`facts import t.parquet --out t.parquet` left facts alone of the user's table, and the list of rows that were
    left out took the place of a table of that name."""
    given = tmp_path / ("u.left_out.csv" if out == "u.parquet" else out)
    given.write_text(TWO, encoding="utf-8")
    done = CliRunner().invoke(app, ["import", str(given), "--out", str(tmp_path / out)])
    assert isinstance(done.exception, ConfigError)
    assert "which is to be imported; give another name" in str(done.exception)
    assert given.read_text(encoding="utf-8") == TWO


def test_a_question_of_nothing_but_marks_is_no_question() -> None:
    with pytest.raises(FactsError, match=r"t, 1: a question of nothing but marks: '\?'"):
        of(("?", ["Ann"]))
    assert of(("東京は何県？", ["Tokyo"]), ("C'est où ?", ["Paris"])) == [["Tokyo"], ["Paris"]]


def test_lines_that_end_in_a_carriage_return_are_told_in_plain_words(tmp_path: Path) -> None:
    """ "do you need to open the file in universal-newline mode?" is a question to a programmer of Python."""
    (tmp_path / "t.csv").write_bytes(b"question,answer\rWho is A?,Ann\rWho is B?,Bob\r")
    with pytest.raises(FactsError, match="lines end in a carriage return alone"):
        facts_of(rows(str(tmp_path / "t.csv")), Columns(), source="t")


def test_where_each_answer_is_right_they_are_one_fact() -> None:
    given = (("Who is a child of X?", ["Ann"]), ("Who is a child of X?", ["Bob", "Rob"]))
    assert of(*given, relation="child", multi_answer=["child"]) == [["Ann", "Bob", "Rob"]]
    assert of(*given, multi_answer=["all"]) == [["Ann", "Bob", "Rob"]]
    with pytest.raises(FactsError):
        of(*given, relation="child", multi_answer=["parent"])


def test_a_relation_spelled_wrong_is_not_ignored() -> None:
    """--multi-answer childs was read by nothing, and the contradiction it was to allow was said instead."""
    kinds = ["capital", "child", "child", "currency"]
    table = [
        Row(f"t, {n}", "t", {"question": f"{kind}?", "answer": f"Answer {n}", "relation": kind})
        for n, kind in enumerate(kinds)
    ]
    with pytest.raises(FactsError) as caught:
        facts_of(table, Columns(), source="t", multi_answer=["childs"])
    wanted = "got --multi-answer childs, and no row has this relation; there are child, capital, currency"
    assert str(caught.value) == wanted
    with pytest.raises(FactsError, match=r"^got --multi-answer childs"):
        facts_of(table, Columns(), source="t", multi_answer=["child", "childs"])
    with pytest.raises(FactsError, match="is answered 'Answer 2' here"):
        facts_of(table, Columns(), source="t", multi_answer=["currency"])
    assert facts_of(table, Columns(), source="t", multi_answer=["child"]).facts.height == 3


def test_of_many_relations_the_ten_most_like_are_named() -> None:
    table = [
        Row(f"t, {n}", "t", {"question": f"{n}?", "answer": "Oslo", "relation": f"relation {n:02}"}) for n in range(30)
    ]
    with pytest.raises(FactsError, match=r"there are relation 2\d, .* and 20 more$"):
        facts_of(table, Columns(), source="t", multi_answer=["relation 29x"])


def test_the_same_fact_with_other_aliases_keeps_them_all() -> None:
    assert of(("Capital?", ["Bombay", "Mumbai"]), ("Capital?", ["mumbai", "Bom Bahia"])) == [
        ["Bombay", "Mumbai", "Bom Bahia"]
    ]


def test_signs_and_marks_make_other_questions() -> None:
    assert of(("Who made The End?", ["John"]), ("Who made The E.N.D?", ["will.i.am"])) == [["John"], ["will.i.am"]]
    assert of(("Who made C++?", ["Bjarne"]), ("Who made C#?", ["Anders"])) == [["Bjarne"], ["Anders"]]


def test_case_and_marks_do_not_hide_a_contradiction() -> None:
    with pytest.raises(FactsError, match="is answered"):
        of(("Capital of X?", ["Brno"]), ("capital of x", ["Penang"]))


def test_lint_and_pack_see_both_in_a_plain_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TWO, encoding="utf-8")
    both = sources.load_unchecked(tmp_path / "t.csv")
    assert both["fact_id"].n_unique() == 3
    assert [finding.check for finding in lint(both) if finding.check in ("conflict", "duplicate")] == ["conflict"]
    assert len(find_problems(sources.load(tmp_path / "t.csv", contradictions="keep"))) == 1
    with pytest.raises(FactsError, match="is answered"):
        sources.load(tmp_path / "t.csv")
