"""Raw benchmark files -> parquet in lm-eval's fields."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from knowpack.bench.data import prepare
from knowpack.bench.raw_files import subjects
from knowpack.errors import BenchError


def read(folder: Path, *parts: str) -> list[dict[str, object]]:
    return pl.read_parquet(folder.joinpath(*parts)).to_dicts()


def test_mmlu_choices_none_and_na_stay_words(data: Path) -> None:
    first = read(data, "mmlu", "anatomy", "test.parquet")[1]
    assert first == {
        "question": "anatomy question 1: which?",
        "subject": "anatomy",
        "choices": ["one 1", "None", "NA", "all, of them"],
        "answer": 1,
    }


def test_mmlu_in_the_original_layout_has_no_header_and_letters(tmp_path: Path, raw: Path) -> None:
    shutil.copytree(raw / "mmlu", tmp_path / "raw" / "mmlu")
    rows = "Is it?,yes,no,NA,None,D\nWas it?,a,b,c,d,A\n"
    (tmp_path / "raw" / "mmlu" / "test" / "virology_test.csv").write_text(rows, encoding="utf-8")
    prepare(tmp_path / "raw", tmp_path / "out")
    found = read(tmp_path / "out", "mmlu", "virology", "test.parquet")
    assert [(row["question"], row["answer"]) for row in found] == [("Is it?", 3), ("Was it?", 0)]


def test_a_next_line_character_in_a_choice_does_not_end_the_row(tmp_path: Path, raw: Path) -> None:
    shutil.copytree(raw / "mmlu", tmp_path / "raw" / "mmlu")
    rows = 'Helps\x85?,"a\nb",b\u2028,c,d,2\n'
    (tmp_path / "raw" / "mmlu" / "test" / "management_test.csv").write_text(rows, encoding="utf-8")
    prepare(tmp_path / "raw", tmp_path / "out")
    (row,) = read(tmp_path / "out", "mmlu", "management", "test.parquet")
    assert (row["question"], row["choices"]) == ("Helps\x85?", ["a\nb", "b\u2028", "c", "d"])


def test_a_missing_subject_is_named(tmp_path: Path, raw: Path) -> None:
    shutil.copytree(raw / "mmlu", tmp_path / "raw" / "mmlu")
    (tmp_path / "raw" / "mmlu" / "dev" / "virology_dev.csv").unlink()
    with pytest.raises(BenchError, match=r"dev lacks the subject\(s\) virology"):
        prepare(tmp_path / "raw", tmp_path / "out")


def test_a_row_without_gold_is_named_by_file_and_row(tmp_path: Path, raw: Path) -> None:
    shutil.copytree(raw / "mmlu", tmp_path / "raw" / "mmlu")
    file = tmp_path / "raw" / "mmlu" / "test" / "virology_test.csv"
    file.write_text("Is it?,yes,no,NA,None,D\nWas it?,a,b,c,d,\n", encoding="utf-8")
    with pytest.raises(BenchError, match=r"virology_test.csv, row 2: expected question, 4 choices"):
        prepare(tmp_path / "raw", tmp_path / "out")


def test_truthfulqa_byte_order_mark_is_no_part_of_the_first_column(data: Path) -> None:
    first = read(data, "truthfulqa", "generation", "validation.parquet")[0]
    assert first["type"] == "Adversarial"
    assert first["correct_answers"] == ["Nothing", "You eat it", ""]  # lm-eval drops the empty one
    assert first["incorrect_answers"] == ["You die", "You fly"]


def test_truthfulqa_targets_keep_the_order_of_the_file(data: Path) -> None:
    first = read(data, "truthfulqa", "multiple_choice", "validation.parquet")[0]
    assert first["mc2_targets"] == {
        "choices": ["You eat a pomegranate", "Nothing happens", "You die", "You fly"],
        "labels": [1, 1, 0, 0],
    }


def test_truthfulqa_without_a_true_first_answer_is_named(tmp_path: Path) -> None:
    (tmp_path / "truthfulqa").mkdir()
    mixed = {"yes": 1, "no": 0, "surely": 1}  # mc2 takes true answers wherever they stand; two real items have it so
    items = [
        {"question": "Q?", "mc1_targets": first, "mc2_targets": mixed} for first in ({"a": 1, "b": 0}, {"b": 0, "a": 1})
    ]
    (tmp_path / "truthfulqa" / "mc_task.json").write_text(json.dumps(items), encoding="utf-8")
    with pytest.raises(BenchError, match="item 2: mc1_targets has no true answer in its place"):
        prepare(tmp_path, tmp_path / "out")


def test_arc_key_3_is_choice_c(data: Path) -> None:
    found = read(data, "arc", "ARC-Challenge", "test.parquet")
    assert [row["answerKey"] for row in found] == ["A", "C"]
    assert found[0]["choices"] == {"text": ["heat", "cold", "rain"], "label": ["A", "B", "C"]}


def test_arc_query_loses_the_word_that_the_task_adds(data: Path) -> None:
    assert read(data, "arc", "ARC-Easy", "test.parquet")[2]["question"] == "What is item 2?"


def test_arc_gold_outside_the_choices_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "arc").mkdir()
    item = {"query": "Q", "choices": ["a", "b"], "gold": 2}
    (tmp_path / "arc" / "arc_easy_test.jsonl").write_text(json.dumps(item), encoding="utf-8")
    with pytest.raises(BenchError, match="item 1: the gold answer is none of the choices A, B"):
        prepare(tmp_path, tmp_path / "out")


def test_logiqa_has_a_blank_after_each_dot_and_no_letters(data: Path) -> None:
    first = read(data, "logiqa", "logiqa", "test.parquet")[0]
    assert first == {
        "label": "a",
        "context": "All are wise. Some are old.",
        "question": "Which follows?",
        "options": ["None of it.", "All of it", "Some", "No one"],
    }


def test_logiqa_item_with_three_options_is_named(tmp_path: Path) -> None:
    (tmp_path / "logiqa").mkdir()
    (tmp_path / "logiqa" / "Test.txt").write_text("\na\nC\nQ\nA.x\nB.y\nC.z\n", encoding="utf-8")
    with pytest.raises(BenchError, match="item 1: expected a-d, context, question, 4 options"):
        prepare(tmp_path, tmp_path / "out")


def test_a_folder_with_nothing_known_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="holds none of the folders mmlu, truthfulqa, arc, logiqa"):
        prepare(tmp_path, tmp_path / "out")


def test_preparing_again_leaves_no_old_file(tmp_path: Path, raw: Path) -> None:
    prepare(raw, tmp_path)
    (tmp_path / "arc" / "ARC-Easy" / "train.parquet").write_bytes(b"old")
    prepare(raw, tmp_path)
    assert not (tmp_path / "arc" / "ARC-Easy" / "train.parquet").exists()


def test_there_are_57_subjects() -> None:
    assert len(subjects()) == 57  # Hendrycks et al. 2021


def test_the_real_files_have_the_published_numbers_of_rows(shared: Path, tmp_path: Path) -> None:
    counts: dict[tuple[str, str, str], int] = {}
    for part in prepare(shared / "data", tmp_path):
        name = "all" if part.benchmark == "mmlu" else part.name
        counts[part.benchmark, name, part.split] = counts.get((part.benchmark, name, part.split), 0) + part.rows
    assert counts == {
        ("mmlu", "all", "test"): 14042,
        ("mmlu", "all", "dev"): 285,
        ("truthfulqa", "multiple_choice", "validation"): 817,
        ("truthfulqa", "generation", "validation"): 817,
        ("arc", "ARC-Easy", "test"): 2376,
        ("arc", "ARC-Challenge", "validation"): 299,
        ("arc", "ARC-Challenge", "test"): 1172,
        ("logiqa", "logiqa", "test"): 651,
        ("logiqa", "logiqa", "validation"): 651,
    }
    newest = prepare(shared / "data", tmp_path / "newest", truthfulqa="newest")
    assert {part.rows for part in newest if part.benchmark == "truthfulqa"} == {790}
