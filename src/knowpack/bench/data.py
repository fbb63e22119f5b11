"""Benchmark data without a hub: raw files as people have them -> parquet in the fields of lm-eval's tasks.

RAW_DIR/{mmlu,truthfulqa,arc,logiqa} -> DATA_DIR/{mmlu,truthfulqa,arc,logiqa}, each a folder that
`datasets.load_dataset(folder, name)` reads by the same name and split as the original on the hub, so that
only `dataset_path` of a task changes. Benchmarks as in Pletenev et al. 2025, section 4.3.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from knowpack.bench import raw_files
from knowpack.bench.raw_files import Part, text_of
from knowpack.errors import BenchError
from knowpack.progress import SILENT, Progress
from knowpack.store import atomic, hash_file, hash_of, write_table, write_text

WRITTEN = "as `knowpack bench prepare` wrote it."
SPLITS = ("train", "validation", "dev", "test")
PATHS = {
    "cais/mmlu": "mmlu",
    "truthfulqa/truthful_qa": "truthfulqa",
    "allenai/ai2_arc": "arc",
    "EleutherAI/logiqa": "logiqa",
}
"""lm-eval's dataset_path -> the folder that `prepare` makes for it."""


class Prepared(NamedTuple):
    """One file written."""

    benchmark: str
    name: str
    split: str
    rows: int


def prepare(raw: Path, out: Path, *, truthfulqa: str = "v1", progress: Progress = SILENT) -> list[Prepared]:
    """Raw files -> parquet folders under `out`; what is not in `raw` is left alone.

    truthfulqa: "v1" the classic 817 questions (lm-eval's own), "newest" the top folder's. Raises BenchError.
    """
    readers: dict[str, Callable[[Path], Iterator[Part]]] = {
        "mmlu": raw_files.mmlu,
        "truthfulqa": lambda folder: raw_files.truthfulqa(folder, truthfulqa),
        "arc": raw_files.arc,
        "logiqa": raw_files.logiqa,
    }
    present = [name for name in readers if (raw / name).is_dir()]
    if not present:
        raise BenchError(f"{raw} holds none of the folders {', '.join(readers)}; expected at least one")
    occupied = [out / name for name in present if not _is_free(out / name)]
    if occupied:
        raise BenchError(f"{occupied[0]} holds files that `knowpack bench prepare` did not write; give another --out")
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


def _write(folder: Path, benchmark: str, parts: list[Part]) -> list[Prepared]:
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
    return folder.is_dir() and (not any(folder.iterdir()) or (card.is_file() and WRITTEN in text_of(card)))
