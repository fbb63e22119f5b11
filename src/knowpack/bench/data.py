"""Benchmark data without a hub: raw files as people have them -> parquet in the fields of lm-eval's tasks.

RAW_DIR/{mmlu,truthfulqa,arc,logiqa} -> DATA_DIR/{mmlu,truthfulqa,arc,logiqa}, each a folder that
`datasets.load_dataset(folder, name)` reads by the same name and split as the original on the hub, so that
only `dataset_path` of a task changes. Benchmarks as in Pletenev et al. 2025, section 4.3.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import polars as pl
import yaml

from knowpack.errors import BenchError
from knowpack.progress import SILENT, Progress
from knowpack.store import atomic, hash_file, hash_of, write_table, write_text

LETTERS = "ABCDE"
WRITTEN = "as `knowpack bench prepare` wrote it."
SPLITS = ("train", "validation", "dev", "test")
PATHS = {
    "cais/mmlu": "mmlu",
    "truthfulqa/truthful_qa": "truthfulqa",
    "allenai/ai2_arc": "arc",
    "EleutherAI/logiqa": "logiqa",
}
"""lm-eval's dataset_path -> the folder that `prepare` makes for it."""

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


class Prepared(NamedTuple):
    """One file written."""

    benchmark: str
    name: str
    split: str
    rows: int


class _Part(NamedTuple):
    name: str
    split: str
    frame: pl.DataFrame


def prepare(raw: Path, out: Path, *, truthfulqa: str = "v1", progress: Progress = SILENT) -> list[Prepared]:
    """Raw files -> parquet folders under `out`; what is not in `raw` is left alone.

    truthfulqa: "v1" the classic 817 questions (lm-eval's own), "newest" the top folder's. Raises BenchError.
    """
    readers: dict[str, Callable[[Path], Iterator[_Part]]] = {
        "mmlu": _mmlu,
        "truthfulqa": lambda folder: _truthfulqa(folder, truthfulqa),
        "arc": _arc,
        "logiqa": _logiqa,
    }
    present = [name for name in readers if (raw / name).is_dir()]
    if not present:
        raise BenchError(f"{raw} holds none of the folders {', '.join(readers)}; expected at least one")
    taken = [out / name for name in present if not _is_free(out / name)]
    if taken:
        raise BenchError(f"{taken[0]} holds files that `knowpack bench prepare` did not write; give another --out")
    written = []
    with progress.stage("preparing benchmark data", len(present)) as advance:
        for benchmark in present:
            parts = list(readers[benchmark](raw / benchmark))
            if not parts:
                raise BenchError(f"{raw / benchmark} holds no file that is known for {benchmark}")
            written += _write(out / benchmark, benchmark, parts)
            advance(1)
    return written


def content(folder: Path) -> str:
    """16 hex digits over all tables of a prepared folder: other data are another measurement."""
    files = sorted(file for place in PATHS.values() for file in (folder / place).rglob("*.parquet"))
    return hash_of([[file.relative_to(folder).as_posix(), hash_file(file)] for file in files])


def subjects() -> list[str]:
    """The 57 subjects of MMLU, as lm-eval's own task files name them."""
    spec = find_spec("lm_eval")
    if spec is None or spec.origin is None:
        raise BenchError("lm-eval is not installed: pip install 'lm-eval>=0.4.13'")
    files = (Path(spec.origin).parent / "tasks" / "mmlu" / "default").glob("mmlu_*.yaml")
    return sorted(file.stem.removeprefix("mmlu_") for file in files)


def _write(folder: Path, benchmark: str, parts: list[_Part]) -> list[Prepared]:
    configs: dict[str, list[dict[str, str]]] = {}
    for part in sorted(parts, key=lambda part: (part.name, SPLITS.index(part.split))):
        file = f"{part.name}/{part.split}.parquet"
        configs.setdefault(part.name, []).append({"split": part.split, "path": file})
    listed = [{"config_name": name, "data_files": files} for name, files in configs.items()]
    head = yaml.safe_dump({"configs": listed}, sort_keys=False, width=100)
    with atomic(folder, replace=True) as beside:
        for part in parts:
            write_table(beside / part.name / f"{part.split}.parquet", part.frame)
        write_text(beside / "README.md", f"---\n{head}---\n{benchmark}, {WRITTEN}\n")
    return [Prepared(benchmark, part.name, part.split, part.frame.height) for part in parts]


def _is_free(folder: Path) -> bool:
    """Nothing there, or what `prepare` wrote."""
    card = folder / "README.md"
    if not folder.exists():
        return True
    return folder.is_dir() and (not any(folder.iterdir()) or (card.is_file() and WRITTEN in _text(card)))


def _mmlu(folder: Path) -> Iterator[_Part]:
    for split in ("test", "dev"):
        missing = [name for name in subjects() if not (folder / split / f"{name}_{split}.csv").is_file()]
        if missing:
            raise BenchError(f"{folder / split} lacks the subject(s) {', '.join(missing)} (<subject>_{split}.csv)")
        for name in subjects():
            file = folder / split / f"{name}_{split}.csv"
            yield _Part(name, split, pl.DataFrame(list(_mmlu_rows(file, name)), MMLU, orient="row"))


def _mmlu_rows(file: Path, subject: str) -> Iterator[tuple[str, str, list[str], int]]:
    """The original layout (no header, A-D) or a header and 0-3; choices "None" and "NA" stay words."""
    letters = {**{k: i for i, k in enumerate("ABCD")}, **{str(i): i for i in range(4)}}
    for number, row in enumerate(csv.reader(io.StringIO(_text(file), newline="")), start=1):
        if number == 1 and row[:1] == ["question"]:
            continue
        gold = letters.get(row[-1].strip()) if row else None
        if len(row) != 6 or gold is None:
            raise BenchError(
                f"{file}, row {number}: expected question, 4 choices, answer (A-D or 0-3); got {row!r:.200}"
            )
        yield row[0], subject, row[1:5], gold


def _truthfulqa(folder: Path, version: str) -> Iterator[_Part]:
    place = folder / "v1" if version == "v1" and (folder / "v1").is_dir() else folder
    if (place / "mc_task.json").is_file():
        rows = [_truthful_mc(item, place, number) for number, item in enumerate(_json(place / "mc_task.json"), 1)]
        yield _Part("multiple_choice", "validation", pl.DataFrame(rows, TRUTHFUL_MC, orient="row"))
    if (place / "TruthfulQA.csv").is_file():
        table = csv.DictReader(io.StringIO(_text(place / "TruthfulQA.csv"), newline=""))
        rows = [_truthful_gen(row, place, number) for number, row in enumerate(table, 1)]
        yield _Part("generation", "validation", pl.DataFrame(rows, TRUTHFUL_GEN, orient="row"))


def _truthful_mc(item: dict[str, object], place: Path, number: int) -> list[object]:
    targets = []
    for key in ("mc1_targets", "mc2_targets"):
        found = item.get(key)
        found = found if isinstance(found, dict) else {}
        labels = list(found.values())
        if 1 not in (labels[:1] if key == "mc1_targets" else labels):  # of mc1 lm-eval takes the first as gold
            raise BenchError(f"{place / 'mc_task.json'}, item {number}: {key} has no true answer in its place")
        targets.append({"choices": list(found), "labels": labels})
    return [item["question"], *targets]


def _truthful_gen(row: dict[str, str], place: Path, number: int) -> list[object]:
    wanted = ("Type", "Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers", "Source")
    if any(row.get(name) is None for name in wanted):
        raise BenchError(f"{place / 'TruthfulQA.csv'}, row {number}: expected the columns {', '.join(wanted)}")
    kind, category, question, best, right, wrong, source = (row[name] for name in wanted)
    split = [[answer.strip() for answer in text.strip().split(";")] for text in (right, wrong)]
    if not any(split[0]):
        raise BenchError(f"{place / 'TruthfulQA.csv'}, row {number}: no correct answer")
    return [kind, category, question, best, *split, source]


def _arc(folder: Path) -> Iterator[_Part]:
    """ARC-Challenge from the file with ids (true choices) where it is there."""
    parts: dict[str, dict[str, list[list[object]]]] = {"ARC-Easy": {}, "ARC-Challenge": {}}
    for file in sorted([*folder.glob("*.jsonl"), *folder.glob("*.json")]):
        name = "ARC-Easy" if "easy" in file.name.lower() else "ARC-Challenge"
        if file.suffix == ".jsonl":
            split = "test" if "test" in file.name.lower() else "validation"
            items = [json.loads(line) for line in _text(file).split("\n") if line.strip()]
            parts[name].setdefault(split, [_arc_row(item, file, i) for i, item in enumerate(items, 1)])
        else:
            whole = _object(file)
            for key, split in (("train", "train"), ("dev", "validation"), ("test", "test")):
                listed = whole.get(key)
                if isinstance(listed, list):  # the file with ids wins over the forced four choices
                    parts[name][split] = [_arc_row(item, file, i) for i, item in enumerate(listed, 1)]
    for name, splits in parts.items():
        for split in splits if "test" in splits else ():
            yield _Part(name, split, pl.DataFrame(splits[split], ARC, orient="row"))


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


def _logiqa(folder: Path) -> Iterator[_Part]:
    found = {"train": folder / "Train.txt", "validation": folder / "Eval.txt", "test": folder / "Test.txt"}
    for split, file in found.items():
        if file.is_file() and found["test"].is_file():
            yield _Part("logiqa", split, pl.DataFrame(list(_logiqa_rows(file)), LOGIQA, orient="row"))


def _logiqa_rows(file: Path) -> Iterator[tuple[str, str, str, list[str]]]:
    """8 lines an item: blank, a-d, context, question, 4 options; a blank after each dot, as on the hub."""
    for number, item in enumerate(_text(file).strip().split("\n\n"), start=1):
        lines = item.split("\n")
        if len(lines) != 7 or lines[0].strip() not in ("a", "b", "c", "d"):
            raise BenchError(f"{file}, item {number}: expected a-d, context, question, 4 options; got {lines!r:.200}")
        label, context, question, *options = (line.strip() for line in lines)
        spaced = [text.replace(".", ". ").strip() for text in (context, question, *(o[2:] for o in options))]
        yield label, spaced[0], spaced[1], spaced[2:]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"cannot read {file}: {error}") from None


def _parsed(file: Path) -> object:
    try:
        parsed: object = json.loads(_text(file))
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
