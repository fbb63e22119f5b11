"""Importing tables of facts: every shape in, one clear line for what cannot be used."""

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from knowpack.cli.facts import app
from knowpack.errors import FactsError, StoreError
from knowpack.facts import column_names, columns, readers, sources
from knowpack.records import Fact, rows, schema


def run(*args: object) -> None:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


def read(path: Path) -> list[Fact]:
    return list(rows(pl.read_parquet(path), Fact))


def test_csv_with_mapped_columns_and_split_aliases(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text('q,a,other\n"Who wrote ""Emma"", the novel?",Jane Austen,Austen|Miss Austen\n', encoding="utf-8")
    run(
        "import",
        table,
        "--question",
        "q",
        "--answer",
        "a",
        "--aliases",
        "other",
        "--separator",
        "|",
        "--out",
        tmp_path / "f.parquet",
    )
    (fact,) = read(tmp_path / "f.parquet")
    assert fact.question == 'Who wrote "Emma", the novel?'
    assert fact.answers == ("Jane Austen", "Austen", "Miss Austen")
    assert pl.read_parquet_schema(tmp_path / "f.parquet") == dict(schema(Fact))


def test_jsonl_lists_nested_columns_and_json_text(tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    lines = [
        {"question": "Capital of Chad?", "answer": {"value": "N'Djamena", "aliases": ["Fort-Lamy", "n'djamena"]}},
        {"question": "Capital of Peru?", "answer": {"value": "Lima", "aliases": []}},
    ]
    table.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    run("import", table, "--answer", "answer.value", "--aliases", "answer.aliases", "--out", tmp_path / "f.parquet")
    assert [fact.answers for fact in read(tmp_path / "f.parquet")] == [("N'Djamena", "Fort-Lamy"), ("Lima",)]
    popqa = tmp_path / "p.tsv"
    popqa.write_text('question\tpossible_answers\nWhat is his job?\t"[""cook"", ""chef""]"\n', encoding="utf-8")
    run("import", popqa, "--out", tmp_path / "p.parquet")
    assert read(tmp_path / "p.parquet")[0].answers == ("cook", "chef")


def test_datasets_folder_and_its_splits(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"question": ["Capital of Peru?"], "answers": [["Lima"]]})
    datasets.DatasetDict({"train": data, "test": data}).save_to_disk(str(tmp_path / "d"))
    with pytest.raises(FactsError, match="splits train, test"):
        run("import", tmp_path / "d", "--out", tmp_path / "f.parquet")
    run("import", tmp_path / "d", "--split", "test", "--out", tmp_path / "f.parquet")
    assert read(tmp_path / "f.parquet")[0].answers == ("Lima",)


def test_a_fact_table_round_trips_and_keeps_its_ids(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("question,answer,relation\nCapital of Peru?,Lima,capital\n", encoding="utf-8")
    run("import", table, "--out", tmp_path / "f.parquet")
    facts = sources.load(tmp_path / "f.parquet")
    assert facts["fact_id"][0] == read(tmp_path / "f.parquet")[0].fact_id
    assert sources.load(table).equals(facts)  # a plain table loads as its import does


BAD = {
    "latin1.csv": (b"question,answer\nWho?,Ann\nCaf\xe9?,Bob\n", r"line 3: not UTF-8 \(byte 0xe9"),
    "latin1.jsonl": (b'{"question": "Caf\xe9?", "answer": "Bob"}\n', "line 1: not UTF-8"),
    "missing.csv": (b"text,answer\nWho?,Ann\n", "no column for the question among: text, answer"),
    "noanswer.csv": (b"question,reply\nWho?,Ann\n", "no column for the answer"),
    "empty.csv": (b"", "is empty"),
    "header.csv": (b"question,answer\n", "no facts found"),
    "ragged.csv": (b"question,answer\nWho?,Ann,x\n", "line 2: 3 cells, expected 2"),
    "long.csv": (b"question,answer\nWho?," + b"a" * 100_000 + b"\n", r"line 2: an answer of over 4000.*\(100000\)"),
    "alias.jsonl": (b'{"question": "Who?", "answers": ["Ann", "A"]}\n', "line 1: an alias of one character: 'A'"),
    "blank.jsonl": (b'{"question": "Who?", "answers": ["Ann", " "]}\n', "line 1: an empty alias"),
    "letter.csv": (b"question,answer\nWho?,X\n", "line 2: an answer of one character"),
    "none.csv": (b"question,answer\nWho?,\n", "line 2: no answer"),
    "json.jsonl": (b'{"question": "Who?", "answer"\n', "line 1: no JSON"),
    "list.jsonl": (b"[1]\n", "line 1: got list, expected an object"),
    "kind.xyz": (b"a", "unknown kind of file"),
    "broken.parquet": (b"PAR1 torn", "no readable parquet file"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_gets_one_clear_line_and_writes_nothing(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises((FactsError, StoreError), match=message) as caught:
        run("import", tmp_path / name, "--out", tmp_path / "f.parquet")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_drop_bad_counts_what_it_leaves_out() -> None:
    found = columns.facts_of(
        [
            readers.Row("t, 1", "t", {"question": "Who?", "answers": ["Ann", "A", ""]}),
            readers.Row("t, 2", "t", {"question": "Who?", "answers": ["Ann"]}),
            readers.Row("t, 3", "t", {"question": None, "answers": ["Ann"]}),
            readers.Row("t, 4", "t", {"question": "Where?", "answers": ["X"]}),
        ],
        column_names.Columns(),
        source="t",
        drop_bad=True,
    )
    assert found.dropped == {
        "an alias of one character": 1,
        "an empty alias": 1,
        "the same fact again": 1,
        "no question": 1,
        "an answer of one character": 1,
    }
    assert found.facts["answers"].to_list() == [["Ann"]]


def test_bom_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(b"\xef\xbb\xbfquestion,answer\nWho?,Ann\n")
    assert sources.load(table)["question"].to_list() == ["Who?"]


def test_a_fact_table_with_a_one_letter_alias_is_refused_at_load(tmp_path: Path) -> None:
    bad = Fact("0" * 16, "Who?", ("Ann", "A"))
    pl.DataFrame([bad.__getstate__()], schema=schema(Fact), orient="row").write_parquet(tmp_path / "f.parquet")
    with pytest.raises(FactsError, match="one-letter alias"):
        sources.load(tmp_path / "f.parquet")


def test_questions_from_wordings_and_the_file_name(tmp_path: Path) -> None:
    table = tmp_path / "P36.train.jsonl"
    table.write_text('{"s": "Chad", "o": "N\'Djamena"}\n', encoding="utf-8")
    wordings = tmp_path / "w.json"
    wordings.write_text('{"P36": {"questions": ["Capital of {}?", "{} has which capital?"], "range": "city"}}')
    run(
        "import",
        table,
        "--subject",
        "s",
        "--object",
        "o",
        "--relation-from-file",
        "--wordings",
        wordings,
        "--out",
        tmp_path / "f.parquet",
    )
    (fact,) = read(tmp_path / "f.parquet")
    assert (fact.question, fact.paraphrases) == ("Capital of Chad?", ("Chad has which capital?",))
    assert (fact.relation, fact.range, fact.answers) == ("P36", "city", ("N'Djamena",))


def test_a_relation_with_no_wording_is_named(tmp_path: Path) -> None:
    table = tmp_path / "P99.jsonl"
    table.write_text('{"s": "Chad", "o": "x y"}\n', encoding="utf-8")
    (tmp_path / "w.json").write_text('{"P36": "Capital of _?"}')
    with pytest.raises(FactsError, match="no wording: 'P99'"):
        run(
            "import",
            table,
            "--subject",
            "s",
            "--object",
            "o",
            "--relation-from-file",
            "--wordings",
            tmp_path / "w.json",
            "--out",
            tmp_path / "f.parquet",
        )


def test_a_column_that_is_nearly_called_as_one_that_is_read_is_named(tmp_path: Path) -> None:
    """Five wordings a fact were left unread, without a word, for want of an s."""
    table = tmp_path / "t.csv"
    table.write_text("question,answer,paraphrase,notes\nWho leads Orlen?,Ada Lin,Who heads Orlen?,x\n")
    with pytest.warns(UserWarning, match=r"t\.csv, line 2: the column 'paraphrase' is not read; is it 'paraphrases'\?"):
        found = sources.load(table)
    assert found["paraphrases"].to_list() == [[]]


def test_columns_of_other_names_and_columns_not_wanted_are_not_remarked_on(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("q,answer,answers,id,source\nWho leads Orlen?,Ada Lin,Ada Lin,1,web\n")
    run("import", table, "--question", "q", "--answer", "answer", "--out", tmp_path / "f.parquet")
