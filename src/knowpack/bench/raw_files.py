"""The raw files of the benchmarks as people have them, read into the fields of lm-eval's tasks.

A folder of one benchmark -> `Part`s, one a configuration and split. A file of another layout is one line.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from knowpack.bench.task_names import lm_eval_tasks
from knowpack.errors import BenchError

LETTERS = "ABCDE"
TEXT, TEXTS, NUMBER = pl.String(), pl.List(pl.String()), pl.Int64()
TARGETS = pl.Struct({"choices": TEXTS, "labels": pl.List(NUMBER)})
LABELLED = pl.Struct({"text": TEXTS, "label": TEXTS})
Columns = dict[str, pl.DataType]
MMLU: Columns = {"question": TEXT, "subject": TEXT, "choices": TEXTS, "answer": NUMBER}
TRUTHFUL_MC: Columns = {"question": TEXT, "mc1_targets": TARGETS, "mc2_targets": TARGETS}
TRUTHFUL_GEN: Columns = {
    **dict.fromkeys(("type", "category", "question", "best_answer"), TEXT),
    **dict.fromkeys(("correct_answers", "incorrect_answers"), TEXTS),
    "source": TEXT,
}
ARC: Columns = {"id": TEXT, "question": TEXT, "choices": LABELLED, "answerKey": TEXT}
LOGIQA: Columns = {"label": TEXT, "context": TEXT, "question": TEXT, "options": TEXTS}


class Part(NamedTuple):
    name: str
    split: str
    frame: pl.DataFrame


def subjects() -> list[str]:
    """The 57 subjects of MMLU, as lm-eval's own task files name them."""
    files = (lm_eval_tasks() / "mmlu" / "default").glob("mmlu_*.yaml")
    return sorted(file.stem.removeprefix("mmlu_") for file in files)


def mmlu(folder: Path) -> Iterator[Part]:
    for split in ("test", "dev"):
        missing = [name for name in subjects() if not (folder / split / f"{name}_{split}.csv").is_file()]
        if missing:
            raise BenchError(f"{folder / split} lacks the subject(s) {', '.join(missing)} (<subject>_{split}.csv)")
        for name in subjects():
            file = folder / split / f"{name}_{split}.csv"
            yield Part(name, split, pl.DataFrame(list(_mmlu_rows(file, name)), MMLU, orient="row"))


def _mmlu_rows(file: Path, subject: str) -> Iterator[tuple[str, str, list[str], int]]:
    """The original layout (no header, A-D) or a header and 0-3; choices "None" and "NA" stay words."""
    letters = {**{k: i for i, k in enumerate("ABCD")}, **{str(i): i for i in range(4)}}
    for number, row in enumerate(csv.reader(io.StringIO(text_of(file), newline="")), start=1):
        if number == 1 and row[:1] == ["question"]:
            continue
        gold = letters.get(row[-1].strip()) if row else None
        if len(row) != 6 or gold is None:
            raise BenchError(
                f"{file}, row {number}: expected question, 4 choices, answer (A-D or 0-3); got {row!r:.200}"
            )
        yield row[0], subject, row[1:5], gold


def truthfulqa(folder: Path, version: str) -> Iterator[Part]:
    place = folder / "v1" if version == "v1" and (folder / "v1").is_dir() else folder
    if (place / "mc_task.json").is_file():
        rows = [_truthful_mc(item, place, number) for number, item in enumerate(_json(place / "mc_task.json"), 1)]
        yield Part("multiple_choice", "validation", pl.DataFrame(rows, TRUTHFUL_MC, orient="row"))
    if (place / "TruthfulQA.csv").is_file():
        table = csv.DictReader(io.StringIO(text_of(place / "TruthfulQA.csv"), newline=""))
        rows = [_truthful_gen(row, place, number) for number, row in enumerate(table, 1)]
        yield Part("generation", "validation", pl.DataFrame(rows, TRUTHFUL_GEN, orient="row"))


def _truthful_mc(item: dict[str, object], place: Path, number: int) -> list[object]:
    targets = []
    for key in ("mc1_targets", "mc2_targets"):
        labelled = item.get(key)
        labelled = labelled if isinstance(labelled, dict) else {}
        labels = list(labelled.values())
        if 1 not in (labels[:1] if key == "mc1_targets" else labels):  # of mc1 lm-eval takes the first as gold
            raise BenchError(f"{place / 'mc_task.json'}, item {number}: {key} has no true answer in its place")
        targets.append({"choices": list(labelled), "labels": labels})
    return [item["question"], *targets]


def _truthful_gen(row: dict[str, str], place: Path, number: int) -> list[object]:
    columns = ("Type", "Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers", "Source")
    if any(row.get(name) is None for name in columns):
        raise BenchError(f"{place / 'TruthfulQA.csv'}, row {number}: expected the columns {', '.join(columns)}")
    kind, category, question, best, right, wrong, source = (row[name] for name in columns)
    split = [[answer.strip() for answer in text.strip().split(";")] for text in (right, wrong)]
    if not any(split[0]):
        raise BenchError(f"{place / 'TruthfulQA.csv'}, row {number}: no correct answer")
    return [kind, category, question, best, *split, source]


def arc(folder: Path) -> Iterator[Part]:
    """ARC-Challenge from the file with ids (true choices) where it is there."""
    parts: dict[str, dict[str, list[list[object]]]] = {"ARC-Easy": {}, "ARC-Challenge": {}}
    for file in sorted([*folder.glob("*.jsonl"), *folder.glob("*.json")]):
        name = "ARC-Easy" if "easy" in file.name.lower() else "ARC-Challenge"
        if file.suffix == ".jsonl":
            split = "test" if "test" in file.name.lower() else "validation"
            items = [json.loads(line) for line in text_of(file).split("\n") if line.strip()]
            parts[name].setdefault(split, [_arc_row(item, file, i) for i, item in enumerate(items, 1)])
        else:
            whole = _object(file)
            for key, split in (("train", "train"), ("dev", "validation"), ("test", "test")):
                listed = whole.get(key)
                if isinstance(listed, list):  # the file with ids wins over the forced four choices
                    parts[name][split] = [_arc_row(item, file, i) for i, item in enumerate(listed, 1)]
    for name, splits in parts.items():
        for split in splits if "test" in splits else ():
            yield Part(name, split, pl.DataFrame(splits[split], ARC, orient="row"))


def _arc_row(item: dict[str, object], file: Path, number: int) -> list[object]:
    choices, gold = item.get("choices"), item.get("gold", item.get("answer", item.get("answerKey")))
    question = str(item.get("question", item.get("query"))).removeprefix("Question: ")
    if isinstance(choices, dict) and "text" in choices:  # the original layout
        texts, labels = list(choices["text"]), [str(label) for label in choices["label"]]
    elif isinstance(choices, dict):
        texts, labels = list(choices.values()), [str(label) for label in choices]
    else:
        texts = list(choices) if isinstance(choices, list) else []
        labels = list(LETTERS[: len(texts)])
    if isinstance(gold, int):
        gold = labels[gold] if 0 <= gold < len(labels) else None
    elif isinstance(gold, str) and gold not in labels and gold.isdigit():  # key 1-4, choices A-D
        gold = LETTERS[int(gold) - 1] if 0 < int(gold) <= len(labels) else None
    if gold not in labels:
        raise BenchError(
            f"{file}, item {number}: the gold answer is none of the choices {', '.join(labels) or '(none)'}"
        )
    return [str(item.get("id", f"{file.stem}-{number}")), question, {"text": texts, "label": labels}, gold]


def logiqa(folder: Path) -> Iterator[Part]:
    files = {"train": folder / "Train.txt", "validation": folder / "Eval.txt", "test": folder / "Test.txt"}
    for split, file in files.items():
        if file.is_file() and files["test"].is_file():
            yield Part("logiqa", split, pl.DataFrame(list(_logiqa_rows(file)), LOGIQA, orient="row"))


def _logiqa_rows(file: Path) -> Iterator[tuple[str, str, str, list[str]]]:
    """8 lines an item: blank, a-d, context, question, 4 options; a blank after each dot, as on the hub."""
    for number, item in enumerate(text_of(file).strip().split("\n\n"), start=1):
        lines = item.split("\n")
        if len(lines) != 7 or lines[0].strip() not in ("a", "b", "c", "d"):
            raise BenchError(f"{file}, item {number}: expected a-d, context, question, 4 options; got {lines!r:.200}")
        label, context, question, *options = (line.strip() for line in lines)
        spaced = [text.replace(".", ". ").strip() for text in (context, question, *(o[2:] for o in options))]
        yield label, spaced[0], spaced[1], spaced[2:]


def text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"cannot read {file}: {error}") from None


def _parsed(file: Path) -> object:
    try:
        parsed: object = json.loads(text_of(file))
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{file} is not JSON (truncated?): {error}") from None
    return parsed


def _json(file: Path) -> list[dict[str, object]]:
    parsed = _parsed(file)
    if not isinstance(parsed, list):
        raise BenchError(f"{file} holds {type(parsed).__name__}, expected a list of items")
    return parsed


def _object(file: Path) -> dict[str, object]:
    parsed = _parsed(file)
    if not isinstance(parsed, dict):
        raise BenchError(f"{file} holds {type(parsed).__name__}, expected dev and test lists")
    return parsed
