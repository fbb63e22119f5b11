"""Cells of tables as they are met outside: what is missing, lists in writing, numbers, dates, delimiters, workbooks."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter

from knowpack.errors import FactsError
from knowpack.facts import columns, readers, sources
from knowpack.facts.column_names import Columns
from knowpack.facts.columns import Imported
from knowpack.facts.values import RowError, text_of, texts_of


def imported(path: Path, content: str, chosen: Columns | None = None, *, delimiter: str | None = None) -> Imported:
    path.write_text(content, encoding="utf-8")
    return columns.facts_of(readers.rows(str(path), delimiter=delimiter), chosen or Columns(), source="t")


def answers(found: Imported) -> list[list[str]]:
    return [list(one) for one in found.facts["answers"]]


def test_a_guessed_answers_column_is_not_added_to_the_one_named(tmp_path: Path) -> None:
    """zsRE's shape: `answers` holds what was right before the edit."""
    rows = '{"question": "Who leads Ur?", "new": "Ann", "answers": ["Bob"], "aliases": ["Bobby"], "relation": "r"}\n'
    found = imported(tmp_path / "z.jsonl", rows, Columns(answer="new"))
    assert answers(found) == [["Ann"]]
    assert found.facts["relation"].to_list() == ["r"], "what is no answer is still told by its usual name"
    assert answers(imported(tmp_path / "y.jsonl", rows, Columns(answer="new", aliases="aliases"))) == [["Ann", "Bobby"]]
    assert answers(imported(tmp_path / "x.jsonl", rows)) == [["Bob", "Bobby"]], "nothing named: guessed"


def test_aliases_that_only_later_rows_have_are_read(tmp_path: Path) -> None:
    rows = [{"question": "Who?", "answer": "Ann"}, {"question": "Where?", "answer": "Ur", "aliases": ["Uruk"]}]
    assert answers(imported(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)))) == [["Ann"], ["Ur", "Uruk"]]


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("['Ann', \"O'Hara\"]", ["Ann", "O'Hara"]),
        ('["Ann", "Bob"]', ["Ann", "Bob"]),
        ("('Ann', 'Bob')", ["Ann", "Bob"]),
        ("['Ann', None]", ["Ann", ""]),
        ("['Ann' 'Bob']", ["Ann", "Bob"]),  # a numpy array in a CSV: Python would read 'AnnBob'
        ("['Ann'\n 'Bob']", ["Ann", "Bob"]),
        ("[1990.0, 1991]", ["1990", "1991"]),
        ("[sic]", ["[sic]"]),
        ("(What's the Story) Morning Glory?", ["(What's the Story) Morning Glory?"]),
        ("[1] Ann", ["[1] Ann"]),
        ("(1984)", ["(1984)"]),
    ],
)
def test_lists_in_writing(written: str, names: list[str]) -> None:
    assert texts_of(written, "answers", None) == names


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1990.0, "1990"),
        (-5.0, "-5"),
        (3.5, "3.5"),
        (1990, "1990"),
        (Decimal("1990.00"), "1990"),
        (Decimal("0.10"), "0.10"),
        (math.nan, None),
        (math.inf, None),
        (None, None),
        ("  ", None),
        (b"Caf\xc3\xa9", "Café"),
        (date(1990, 3, 14), "1990-03-14"),
        (datetime(1990, 3, 14), "1990-03-14"),
        (datetime(1990, 3, 14, 12, 30), "1990-03-14 12:30:00"),
        (datetime(1990, 3, 14, tzinfo=UTC), "1990-03-14"),
        ("1990-03-14 00:00:00", "1990-03-14"),
        (True, "True"),
    ],
)
def test_values_as_text(value: object, text: str | None) -> None:
    assert text_of(value, "answer") == text


@pytest.mark.parametrize("value", [b"Caf\xe9", "half \ud83d", {"a": 1}, ["a"]])
def test_what_cannot_be_text_is_told(value: object) -> None:
    with pytest.raises(RowError):
        text_of(value, "answer")


@pytest.mark.parametrize("depth", [2_000, 45_000])
def test_a_list_nested_without_end_in_a_cell_is_one_line(depth: int) -> None:
    with pytest.raises(RowError, match="nested too deep"):
        texts_of("[" * depth + "]" * depth, "answers", None)


@pytest.mark.parametrize("name", ["t.jsonl", "t.json"])
def test_json_nested_without_end_is_one_line(tmp_path: Path, name: str) -> None:
    deep = '{"question": "Who?", "answer": ' + "[" * 100_000 + "]" * 100_000 + "}"
    with pytest.raises(FactsError, match="nested too deep"):
        imported(tmp_path / name, deep)


def test_a_key_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FactsError, match="line 1: no JSON: the key 'answer' stands twice"):
        imported(tmp_path / "t.jsonl", '{"question": "Who?", "answer": "Ann", "answer": "Bob"}\n')
    with pytest.raises(FactsError, match="the column 'answer' stands twice"):
        imported(tmp_path / "t.csv", "question,answer,answer\nWho?,Ann,Bob\n")


def test_json_nan_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(FactsError, match="line 1: no answer"):
        imported(tmp_path / "t.jsonl", '{"question": "Who?", "answer": NaN}\n')


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "None", "<NA>", "NaT", "NULL", "#N/A"])
def test_what_libraries_write_for_nothing_is_nothing_in_a_csv(tmp_path: Path, cell: str) -> None:
    found = imported(tmp_path / "t.csv", f"question,answer,aliases\nWho?,Ann,{cell}\n")
    assert answers(found) == [["Ann"]]
    with pytest.raises(FactsError, match="line 2: no answer"):
        imported(tmp_path / "u.csv", f"question,answer\nWho?,{cell}\n")
    assert answers(imported(tmp_path / "v.csv", "question,answer\nWhich province?,Nan\n")) == [["Nan"]]


def test_years_that_were_made_floats_are_whole_and_versions_stay(tmp_path: Path) -> None:
    years = "question,answer,aliases\nWhen A?,1990.0,\nWhen B?,2001.0,\n"
    assert answers(imported(tmp_path / "y.csv", years)) == [["1990"], ["2001"]]
    versions = "question,answer\nWhich A?,2.0\nWhich B?,2.1\n"
    assert answers(imported(tmp_path / "v.csv", versions)) == [["2.0"], ["2.1"]]


@pytest.mark.parametrize("mark", [";", "\t", "|", ","])
def test_the_delimiter_is_told_by_the_rows(tmp_path: Path, mark: str) -> None:
    rows = [["question", "answer"], ["Who wrote A, B; and C|D\tE?", "Ann, the first"], ["Where, and when?", "Ur"]]
    text = "\n".join(mark.join(f'"{cell}"' for cell in row) for row in rows)
    assert answers(imported(tmp_path / "t.csv", text)) == [["Ann, the first"], ["Ur"]]


def test_a_comma_in_questions_is_no_delimiter(tmp_path: Path) -> None:
    found = imported(tmp_path / "t.csv", "question;answer\nWho, then?;Ann\nWhere, then?;Ur\n")
    assert found.facts["question"].to_list() == ["Who, then?", "Where, then?"]


def test_a_delimiter_that_is_named_comes_first(tmp_path: Path) -> None:
    found = imported(tmp_path / "t.csv", "question^answer\nWho?^Ann\n", delimiter="^")
    assert answers(found) == [["Ann"]]


def test_a_header_that_comes_again_is_no_fact_and_is_named(tmp_path: Path) -> None:
    found = imported(tmp_path / "t.csv", "question,answer\nWho?,Ann\nquestion,answer\nWhere?,Ur\n")
    assert answers(found) == [["Ann"], ["Ur"]]
    assert [(one.where.rpartition(", ")[2], one.reason) for one in found.left_out] == [("line 3", "the header again")]


def test_parquet_values(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "question": ["When A?", "When B?", "Who C?"],
            "answer": [b"1990", b"Ann", b"Caf\xc3\xa9"],
            "aliases": [[date(1990, 1, 2)], [], None],
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    assert [list(one) for one in sources.load(tmp_path / "t.parquet")["answers"]] == [
        ["1990", "1990-01-02"],
        ["Ann"],
        ["Café"],
    ]


def workbook(path: Path, sheets: dict[str, Sequence[Sequence[object]]]) -> Path:
    with xlsxwriter.Workbook(path) as book:
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                for place, value in enumerate(row):
                    sheet.write(number, place, value, *([day] if isinstance(value, date) else []))
    return path


def test_a_workbook(tmp_path: Path) -> None:
    rows = [
        ["question", "answer"],
        ["When?", 1990.0],
        ["Who?", "Ann"],
        ["On which day?", datetime(1990, 3, 14)],
        ["How far?", 3.5],
    ]
    path = workbook(tmp_path / "t.xlsx", {"facts": rows})
    assert [one[0] for one in sources.load(path)["answers"]] == ["1990", "Ann", "1990-03-14", "3.5"]


def test_a_sheet_is_named_where_there_are_several(tmp_path: Path) -> None:
    head = ["question", "answer"]
    path = workbook(tmp_path / "t.xlsx", {"old": [head, ["Who?", "Ann"]], "new": [head, ["Who?", "Bob"]]})
    with pytest.raises(FactsError, match="has the sheets old, new; name one by --split"):
        list(readers.rows(str(path)))
    assert [row.values["answer"] for row in readers.rows(str(path), "new")] == ["Bob"]


def test_a_broken_workbook_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(FactsError, match="no readable workbook") as caught:
        list(readers.rows(str(tmp_path / "t.xlsx")))
    assert "\n" not in str(caught.value)


def test_a_line_without_end_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "LONGEST_LINE", 1_000)
    with pytest.raises(FactsError, match="line 2: over"):
        imported(tmp_path / "t.csv", "question,answer\n" + "a" * 2_000)
