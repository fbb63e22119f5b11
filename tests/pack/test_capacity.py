"""Capacity, by its command on a random model: a row an adapter, each share with its n, and nothing trained twice."""

from pathlib import Path

import polars as pl
import pytest

import tiny
from commands import call
from knowpack.config import KeepRecipe
from knowpack.pack import trial
from knowpack.train import recipes


def short(_: str, rank: int, *__: int) -> KeepRecipe:
    few = {"n_replay": 8, "n_made_up": 0, "n_texts": 0, "n_contexts": 0, "max_steps": 2, "tail_steps": 2}
    return KeepRecipe(rank=rank, alpha=rank, batch_size=4, replay_batch=4, from_layer=0, **few)


def test_a_row_an_adapter_with_what_was_counted_and_none_trained_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny.save_all(tmp_path, 60)
    monkeypatch.setattr(recipes, "for_model", short)
    asked = ["--model", folder / "model", "--known", folder / "facts.parquet", "--shots", folder / "shots.csv"]
    asked += ["--work", tmp_path / "work", "--sample", 32, "--ranks", "1,2", "--loads", "2", "--quiet"]
    asked += ["--set", "probe.n_prompts=1", "--set", "probe.n_shots=1", "--set", "probe.max_new_tokens=4"]
    command = ["capacity", *asked, "--out", tmp_path / "out"]
    assert call(monkeypatch, *command) == 0
    printed = capsys.readouterr().out
    table = pl.read_parquet(tmp_path / "out" / "capacity.parquet")
    assert table.select("kept", "rank", "n_facts").rows() == [
        (kept, rank, 2) for kept in (False, True) for rank in (1, 2)
    ]
    for figure, n in (("known_lost_net", "n_known"), ("refusals_lost_net", "n_refused")):
        assert table[figure].is_null().to_list() == table[n].is_null().to_list()
    assert table["recall"].is_between(0, 1).all()
    assert "rank 1: D99 " in printed
    assert "rank 2: D99 " in printed

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(trial, "train", never)
    assert call(monkeypatch, *command) == 0
    assert capsys.readouterr().out == printed
