"""What a run's folder is named after: the content of the tables that it is made from, and not where they lie."""

from pathlib import Path
from types import SimpleNamespace

from knowpack.config import MixConfig, RunConfig
from knowpack.run import folder_of

BASE = SimpleNamespace(folder=Path("base/0123"))


def name_with(extra: Path | str | None) -> str:
    config = RunConfig(mix=MixConfig(extra_facts=None if extra is None else str(extra)))
    return folder_of(config, BASE).name  # type: ignore[arg-type]


def test_extra_facts_that_were_edited_are_another_run_and_the_same_ones_elsewhere_are_not(tmp_path: Path) -> None:
    file = tmp_path / "extra.csv"
    file.write_text("question,answer\nWhere is Branvel?,Orlen\n")
    first = name_with(file)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / file.name).write_bytes(file.read_bytes())
    assert name_with(tmp_path / "elsewhere" / file.name) == first
    file.write_text("question,answer\nWhere is Branvel?,Tavin\n")
    assert name_with(file) != first
    assert len({first, name_with(None), name_with("world"), name_with(tmp_path / "none.csv")}) == 4
