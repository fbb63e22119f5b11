"""Adapters by their hub names, read from a cache as huggingface_hub lays it out; no network is asked."""

from pathlib import Path

import huggingface_hub.constants
import pytest

from knowpack.errors import ModelError
from knowpack.model.locations import CONFIG, WEIGHTS, OnTheHub, adapter_folder, on_the_hub

NEWEST, OLDER = "a" * 40, "b" * 40


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """owner/name: main has an adapter at its top and one in last/epoch-3; v1 and refs/pr/7 have the first alone."""
    kept = tmp_path / "cache" / "models--owner--name"
    for commit, folders in ((NEWEST, ("", "last/epoch-3")), (OLDER, ("",))):
        for folder in folders:
            place = kept / "snapshots" / commit / folder
            place.mkdir(parents=True, exist_ok=True)
            (place / CONFIG).write_text("{}")
            (place / WEIGHTS).write_bytes(b"")
    for ref, commit in (("main", NEWEST), ("v1", OLDER), ("refs/pr/7", OLDER)):
        (kept / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (kept / "refs" / ref).write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    return kept / "snapshots"


@pytest.mark.parametrize(
    ("name", "commit", "folder"),
    [
        ("owner/name", NEWEST, "."),
        ("hf://owner/name", NEWEST, "."),
        ("owner/name@v1", OLDER, "."),
        (f"owner/name@{OLDER}", OLDER, "."),
        ("hf://owner/name@refs/pr/7", OLDER, "."),
        ("hf://owner/name/last/epoch-3", NEWEST, "last/epoch-3"),
        ("owner/name@main/last/epoch-3", NEWEST, "last/epoch-3"),
    ],
)
def test_a_revision_and_a_folder_of_a_repository_can_be_named(name: str, commit: str, folder: str, hub: Path) -> None:
    assert adapter_folder(name) == hub / commit / folder


def test_a_folder_here_is_no_hubs_and_a_path_with_a_typo_asks_no_hub(tmp_path: Path) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert on_the_hub("owner/name") is None
    assert on_the_hub("hf://owner/name") == OnTheHub("owner/name", None, "")
    for typo in ("out/pack/adaptor", "./owner/nam", "/out/adapter", "~/out", "adapter"):
        assert on_the_hub(typo) is None
        with pytest.raises(ModelError, match=f"no adapter folder {typo}; expected a folder with"):
            adapter_folder(typo)


def test_a_typo_in_a_folder_that_is_here_asks_no_hub(tmp_path: Path) -> None:
    """out/adaptr looks like owner/name: with a network the hub was asked for somebody's repository of that name."""
    (tmp_path / "out" / "adapter").mkdir(parents=True)
    assert on_the_hub("out/adaptr") is None
    with pytest.raises(ModelError, match=r"no adapter folder out/adaptr; .* \(one on the hub: hf://out/adaptr\)"):
        adapter_folder("out/adaptr")
    # the owner's folder is here too: what can only be the hub's stays so
    (tmp_path / "owner").mkdir()
    assert on_the_hub("owner/name@v1") == OnTheHub("owner/name", "v1", "")
    assert on_the_hub("hf://owner/name") == OnTheHub("owner/name", None, "")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("owner/name@v2", "and the hub gave none"),
        ("hf://owner/name/nowhere", "no adapter folder hf://owner/name/nowhere"),
        ("hf://owner/name/last", "its folders epoch-3 have one each"),
        ("hf://owner/name/../../refs", "leaves its repository"),
    ],
)
def test_what_is_not_there_is_one_line(name: str, what: str) -> None:
    with pytest.raises(ModelError, match=what) as caught:
        adapter_folder(name)
    assert "\n" not in str(caught.value)
