"""Traps: a torn file that counts, a lock that does not hold, a hash that changes with the order of keys."""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from safetensors import SafetensorError

from knowpack import records, store
from knowpack.errors import LockedError, StoreError
from knowpack.records import Knowledge, Response
from knowpack.store import lease, process


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
        done.wait(600)  # type: ignore[attr-defined]


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready, done = spawn.Event(), spawn.Event()
    other = spawn.Process(target=_hold, args=(tmp_path, ready, done))
    other.start()
    assert ready.wait(600)  # it imports polars, on a machine that others use
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


def test_a_lease_of_a_process_that_is_gone_is_taken_over(tmp_path: Path) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    left = tmp_path / ".lock" / f"{process.machine()}-{gone.stdout.strip()}-aaaa"
    left.parent.mkdir()
    left.write_text("{}")
    with store.lock(tmp_path):
        assert not left.exists()
        assert len(list((tmp_path / ".lock").iterdir())) == 1
    assert not (tmp_path / ".lock").exists()


def test_a_lease_from_another_machine_holds_while_its_heart_beats(tmp_path: Path) -> None:
    """Its process number means nothing here: number 1 runs on every machine."""
    other = tmp_path / ".lock" / "0badf00d-1-aaaa"
    other.parent.mkdir()
    other.write_text('{"host": "node7", "born": "5"}')
    with pytest.raises(LockedError, match="1 on node7"), store.lock(tmp_path):
        pass
    long_ago = other.stat().st_mtime - lease.STALE_SECONDS - 1
    os.utime(other, (long_ago, long_ago))
    with store.lock(tmp_path):
        assert not other.exists()


def test_a_number_that_was_given_to_a_new_process_holds_nothing(tmp_path: Path) -> None:
    mine = tmp_path / ".lock" / f"{process.machine()}-{os.getpid()}-aaaa"
    mine.parent.mkdir()
    mine.write_text('{"host": "here", "born": "1"}')  # this process was not started one tick after the boot
    with store.lock(tmp_path):
        assert not mine.exists()


def test_a_lock_that_is_freed_between_the_try_and_the_look_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rename failed, since another held it; a moment later the lock was gone: that was "cannot write"."""
    theirs = tmp_path / ".lock" / f"{process.machine()}-{os.getpid()}-aaaa"
    theirs.parent.mkdir()
    theirs.write_text("{}")
    rename = Path.rename

    def freed_after(self: Path, target: Path) -> Path:
        try:
            return rename(self, target)
        except OSError:
            theirs.unlink()
            theirs.parent.rmdir()
            raise

    monkeypatch.setattr(Path, "rename", freed_after)
    with store.lock(tmp_path):
        assert [file.name for file in (tmp_path / ".lock").iterdir()] != [theirs.name]


def _count(folder: Path, n: int) -> None:
    for _ in range(n):
        with store.lock(folder, 600):
            count = folder / "count"
            before = int(count.read_text()) if count.exists() else 0
            time.sleep(0.001)
            count.write_text(str(before + 1))


def test_processes_that_count_under_the_lock_lose_no_count(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_count, args=(tmp_path, 10)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (tmp_path / "count").read_text() == "30"


def test_a_folder_with_foreign_files_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="holds other files"), store.atomic(tmp_path / "out") as beside:
        beside.mkdir()
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"


def test_every_flipped_byte_is_named(tmp_path: Path) -> None:
    path = tmp_path / "k.parquet"
    store.write_manifest(tmp_path, {"files": {}})
    store.write_table(path, knowledge(3))
    store.record_all(tmp_path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 37):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(StoreError, match=r"k\.parquet is damaged.*remove it and run the same command again"):
            store.read_table(path, Knowledge)
        assert [damage.path for damage in store.verify(tmp_path)] == [path]
    path.write_bytes(whole)
    assert store.read_table(path, Knowledge).height == 3
    assert not list(store.verify(tmp_path))


def test_a_flipped_byte_in_a_manifest_is_named(tmp_path: Path) -> None:
    store.write_manifest(tmp_path, {"label": "50", "files": {}})
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text().replace('"50"', '"51"'))
    with pytest.raises(StoreError, match=r"manifest\.json is damaged"):
        store.read_json(path)


def test_json_nested_too_deep_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(StoreError, match=r"deep\.json"):
        store.read_json(path)


def test_what_a_killed_import_had_begun_goes_with_the_next(tmp_path: Path) -> None:
    """A folder that nobody locks is never swept: a file of a killed `facts import` lay there for ever."""
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    machine = process.machine()
    torn = tmp_path / f".new.parquet.{machine}-{gone.stdout.strip()}.part"
    other = tmp_path / f".new.parquet.{machine}-{os.getppid()}.part"  # a process that lives
    elsewhere = tmp_path / ".new.parquet.0badc0de-1.part"  # of a machine of which nothing is known
    for part in (torn, other, elsewhere):
        part.write_bytes(b"half")
    store.write_table(tmp_path / "new.parquet", pl.DataFrame({"a": [1]}))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([elsewhere.name, other.name, "new.parquet"])


def test_parts_of_a_table_that_is_whole_are_swept(tmp_path: Path) -> None:
    """A kill between the whole table and the removal of its parts left them for ever."""
    chunks = store.Chunks(tmp_path / "r.parquet")
    chunks.append(knowledge(2))
    store.write_table(tmp_path / "r.parquet", knowledge(2))
    with store.lock(tmp_path):
        assert not chunks.folder.exists()


def test_a_table_of_an_older_version_lacks_only_what_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "responses.parquet"
    row = Response("f", 0, 0, 0, "x", None, None, False, False, None, -1.0, 2)
    frame = records.table([row], Response)
    frame.drop("answer_logprob", "answer_tokens").write_parquet(path)
    assert store.read_table(path, Response).row(0)[-2:] == (None, None)
    frame.drop("text").write_parquet(path)
    with pytest.raises(StoreError, match=r"lacks the column\(s\) text"):
        store.read_table(path, Response)
