"""Answers of an interrupted bench: taken up by the same model, written once, never another's."""

from pathlib import Path

from knowpack.bench.journal import Answer, Journal


def kept(folder: Path, model: str) -> dict[str, float | None]:
    return {key: answer.logprob for key, answer in Journal(folder, model).known.items()}


def interrupted(folder: Path) -> Path:
    """What model m was asked, and then a kill."""
    journal = Journal(folder, "m")
    journal.add([Answer("a", -1.5, True), Answer("b", -2.5, False)])
    journal.flush()
    return folder


def test_going_on_writes_nothing_anew(tmp_path: Path) -> None:
    folder = interrupted(tmp_path / "partial")
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*")}
    assert kept(folder, "m") == {"a": -1.5, "b": -2.5}
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*")} == before


def test_answers_of_another_model_or_of_nobody_are_not_taken(tmp_path: Path) -> None:
    """A removal that is killed may leave the answers and take the file that says whose they are."""
    assert kept(interrupted(tmp_path / "other"), "n") == {}
    orphaned = interrupted(tmp_path / "orphaned")
    (orphaned / "model.json").unlink()
    assert kept(orphaned, "n") == {}
