"""The work directory: atomic files, tables, hashes, checks of what was written, one writer at a time.

A file that exists is complete: it is written beside, flushed, then renamed. Parquet and JSON only.
"""

from knowpack.store.claims import claim, refuse_file, refuse_folder, refuse_foreign, refuse_other
from knowpack.store.lease import disk_seconds, folder_lock, holder, lock
from knowpack.store.reading import Chunks, read_json, read_table, scan_table, write_table
from knowpack.store.sums import (
    Damage,
    check,
    forget,
    lacking,
    n_recorded,
    read_manifest,
    record,
    record_all,
    recorded_files,
    verify,
    write_manifest,
)
from knowpack.store.writing import atomic, hash_file, hash_of, hash_table, remove, write_json, write_text

__all__ = [
    "Chunks",
    "Damage",
    "atomic",
    "check",
    "claim",
    "disk_seconds",
    "folder_lock",
    "forget",
    "hash_file",
    "hash_of",
    "hash_table",
    "holder",
    "lacking",
    "lock",
    "n_recorded",
    "read_json",
    "read_manifest",
    "read_table",
    "record",
    "record_all",
    "recorded_files",
    "refuse_file",
    "refuse_folder",
    "refuse_foreign",
    "refuse_other",
    "remove",
    "scan_table",
    "verify",
    "write_json",
    "write_manifest",
    "write_table",
    "write_text",
]
