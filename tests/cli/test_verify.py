"""knowpack show --verify: every damaged file is named, with what to do."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from knowpack import store
from knowpack.cli.main import app
from knowpack.errors import StoreError


def test_damaged_and_missing_files_are_named_and_whole_ones_counted(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        store.write_manifest(tmp_path / name, {"files": {}})
        store.write_json(tmp_path / name / "figures.json", [])
        store.write_json(tmp_path / name / "probe.json", {})
        store.record_all(tmp_path / name)
    whole = CliRunner().invoke(app, ["show", str(tmp_path), "--verify"])
    assert (whole.exit_code, whole.output) == (0, "4 files are as they were written\n")

    (tmp_path / "one" / "figures.json").write_text("[ ]")
    (tmp_path / "two" / "probe.json").unlink()
    hurt = CliRunner().invoke(app, ["show", str(tmp_path), "--verify"])
    assert hurt.output.splitlines() == [
        f"damaged: {tmp_path / 'one' / 'figures.json'}",
        f"missing: {tmp_path / 'two' / 'probe.json'}",
    ]
    assert isinstance(hurt.exception, StoreError)
    assert "2 of 4 files" in str(hurt.exception)


@pytest.mark.parametrize("content", ["", '{"files": {"figures.js', '{"files": {}, "hash": "0"}', "[" * 100_000])
def test_a_damaged_manifest_is_named_beside_the_other_damage(tmp_path: Path, content: str) -> None:
    """The first one that could not be read was all that was said."""
    for name in ("one", "two"):
        store.write_manifest(tmp_path / name, {"files": {}})
        store.write_json(tmp_path / name / "figures.json", [])
        store.record_all(tmp_path / name)
    (tmp_path / "one" / "manifest.json").write_text(content)
    (tmp_path / "two" / "figures.json").write_text("[ ]")
    hurt = CliRunner().invoke(app, ["show", str(tmp_path), "--verify"])
    assert hurt.output.splitlines() == [
        f"damaged: {tmp_path / 'one' / 'manifest.json'}",
        f"damaged: {tmp_path / 'two' / 'figures.json'}",
    ]
    assert isinstance(hurt.exception, StoreError)


def test_a_folder_with_nothing_to_compare_is_no_success(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["show", str(tmp_path), "--verify"])
    assert isinstance(done.exception, StoreError)
    assert "no finished file" in str(done.exception)
