"""Traps: a torn file that counts, a lock that does not hold, a hash that changes with the order of keys."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from safetensors import SafetensorError

from knowpack import records, store
from knowpack.errors import StoreError
from knowpack.records import Knowledge


def knowledge(n: int) -> pl.DataFrame:
    row = Knowledge("f", "default", 10, 0.5, "MaybeKnown", "paris", 0.0)
    return records.table([row] * n, Knowledge)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    store.write_json(path, {"kept": True})

    def torn() -> None:
        with store.atomic(path) as beside:
            beside.write_text("torn")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        torn()
    assert store.read_json(path) == {"kept": True}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_truncated_table_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "k.parquet"
    store.write_table(path, knowledge(3))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError, match="truncated") as caught:
        store.read_table(path, Knowledge)
    assert "\n" not in str(caught.value)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "k.parquet"
    store.write_table(path, knowledge(3).drop("top_answer"))
    with pytest.raises(StoreError, match="top_answer"):
        store.read_table(path, Knowledge)


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    fact = records.Fact("id", "Q?", ("A", "B"), ("P?",), subject="s", popularity=None)
    store.write_table(tmp_path / "f.parquet", records.table([fact], records.Fact))
    assert list(records.rows(store.read_table(tmp_path / "f.parquet", records.Fact), records.Fact)) == [fact]


def test_chunks_go_on_after_a_torn_part(tmp_path: Path) -> None:
    chunks = store.Chunks(tmp_path / "r.parquet")
    chunks.append(knowledge(2))
    (chunks.folder / ".000001.parquet.123.part").write_bytes(b"torn")
    again = store.Chunks(tmp_path / "r.parquet")
    assert again.done() == 1
    again.append(knowledge(3))
    again.finish()
    assert store.read_table(tmp_path / "r.parquet", Knowledge).height == 5
    assert not again.folder.exists()


def test_hash_knows_content_not_key_order() -> None:
    assert store.hash_of({"a": 1, "b": [2]}) == store.hash_of({"b": [2], "a": 1})
    assert store.hash_of({"a": 1}) != store.hash_of({"a": 1.5})
    assert store.hash_table(knowledge(2)) != store.hash_table(knowledge(3))


def _hold(folder: Path, ready: object, done: object) -> None:
    with store.lock(folder):
        ready.set()  # type: ignore[attr-defined]
        done.wait(20)  # type: ignore[attr-defined]


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready, done = spawn.Event(), spawn.Event()
    other = spawn.Process(target=_hold, args=(tmp_path, ready, done))
    other.start()
    assert ready.wait(20)
    with pytest.raises(StoreError, match="another knowpack process"), store.lock(tmp_path):
        pass
    done.set()
    other.join()
    with store.lock(tmp_path):
        pass


def test_an_adapter_on_a_full_disk_is_one_line(tmp_path: Path) -> None:
    def full(folder: Path) -> None:
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(b"torn")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with (
        pytest.raises(StoreError, match=r"^the disk is full: .*adapter was not written"),
        store.atomic(tmp_path / "adapter") as beside,
    ):
        full(beside)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_was_writing_is_removed_and_what_a_live_one_writes_is_not(tmp_path: Path) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    torn = tmp_path / "attempts" / f".adapter.{gone.stdout.strip()}.part"
    mine = tmp_path / f".scores.parquet.{os.getpid()}.part"
    other = tmp_path / ".notes.part"
    torn.mkdir(parents=True)
    mine.touch()
    other.touch()
    with store.lock(tmp_path):
        assert not torn.exists()
        assert mine.exists()
        assert other.exists()
