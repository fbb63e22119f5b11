"""Capacity, by its command on a random model: a row an adapter, each share with its n, and nothing trained twice."""

from pathlib import Path
from typing import NamedTuple
from unittest.mock import MagicMock

import polars as pl
import pytest

import tiny
from commands import call, capacity, two_steps
from knowpack import store
from knowpack.config import KeepRecipe
from knowpack.errors import FactsError
from knowpack.pack import capacity as capacity_module
from knowpack.pack import trial
from knowpack.pack.budget import Budget
from knowpack.pack.capacity import _unknown, _without_replay, largest, unmeasured
from knowpack.progress import SILENT
from knowpack.records import Estimate
from knowpack.train import recipes


def test_a_load_larger_than_the_table_is_said_before_the_base_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 60 facts 30 report the harm, at most half, and 8 judge the adapters, a quarter of --sample 32: 22 are left."""
    command = [*capacity(tiny.save_all(tmp_path, 60)), "--loads", "2,23", "--out", tmp_path / "out"]
    capsys.readouterr()
    assert call(monkeypatch, *command) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "knowpack: a load of 23 needs as many facts unknown to the base, and beside those that measure"
    )
    assert "there are 22; give smaller --loads" in said
    assert not (tmp_path / "work").exists()


def test_a_row_an_adapter_with_what_was_counted_and_none_trained_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny.save_all(tmp_path, 60)
    monkeypatch.setattr(recipes, "for_model", two_steps)
    command = [*capacity(folder, "1,2"), "--out", tmp_path / "out"]
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

    # The table of fewer ranks was written over a recorded one, and `show --verify` called it damaged.
    assert call(monkeypatch, *capacity(folder, "1"), "--out", tmp_path / "out") == 0
    assert store.read_table(tmp_path / "out" / "capacity.parquet")["rank"].to_list() == [1, 1]
    assert list(store.verify(tmp_path / "out")) == []


def test_cells_of_another_recipe_or_of_other_weights_are_trained_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cell was named by replay, rank and load alone: another version's recipe, or the weights that lay in the model's
    folder before, gave the figures of a later run."""
    folder = tiny.save_all(tmp_path, 60)
    command = [*capacity(folder), "--out", tmp_path / "out"]
    trained: list[int] = []
    train = trial.train

    def counted(loaded, examples, config, *rest, **named):  # type: ignore[no-untyped-def]
        trained.append(config.max_steps)
        return train(loaded, examples, config, *rest, **named)

    def three_steps(*of: object) -> KeepRecipe:
        return two_steps(*of).model_copy(update={"max_steps": 3})  # type: ignore[arg-type]

    monkeypatch.setattr(trial, "train", counted)
    monkeypatch.setattr(recipes, "for_model", two_steps)
    assert call(monkeypatch, *command) == 0
    assert trained == [2, 2]
    monkeypatch.setattr(recipes, "for_model", three_steps)
    assert call(monkeypatch, *command) == 0
    assert trained == [2, 2, 3, 3]
    tokens = tiny.tokenizer()
    tiny.llama(len(tokens), seed=1).save_pretrained(folder / "model")
    assert call(monkeypatch, *command) == 0
    assert trained == [2, 2, 3, 3, 3, 3]
    monkeypatch.setattr(recipes, "for_model", two_steps)
    tiny.llama(len(tokens), seed=0).save_pretrained(folder / "model")
    assert call(monkeypatch, *command) == 0
    assert trained == [2, 2, 3, 3, 3, 3]  # those of the first command are still there


def test_without_replay_the_rate_the_layers_and_the_forms_stay_those_of_the_models_recipe() -> None:
    """They were the lab's on every model: the cells with and without replay differed in more than the replay."""
    full = recipes.for_model("some/8b-model", 16, 50)
    alone = _without_replay(full)
    assert (alone.lr, alone.from_layer, alone.short_forms, alone.max_steps) == (2e-3, 0.5, True, full.max_steps)
    assert alone.kl_weight == alone.n_replay == alone.n_made_up == alone.n_other_forms == alone.n_texts == 0


def test_a_limit_on_what_no_validation_fact_can_show_is_not_within_the_budget() -> None:
    """A model that never refuses was within every budget: nothing that is None overran it."""
    lost = Estimate(0.0, 0.0, 0.1, 30)
    assert unmeasured(Budget(), lost, None)
    assert unmeasured(Budget(), None, lost)
    assert not unmeasured(Budget(refusals_lost=None), lost, None)
    assert not unmeasured(Budget(), lost, lost)
    cells = pl.DataFrame(
        {
            "kept": [True, True, True],
            "rank": [4, 4, 4],
            "n_facts": [10, 20, 40],
            "recall": [1.0, 1.0, 1.0],
            "bits_per_parameter": [0.1, 0.2, 0.4],
            "within_budget": [True, None, False],
        }
    )
    assert largest(cells)["safe_d99"].to_list() == [10]


def test_facts_are_asked_until_there_are_enough_that_the_base_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a base that knows most of a table the first four times as many were asked, and a larger table was advised."""
    facts = pl.DataFrame({"fact_id": [f"{i:02}" for i in range(20)]})
    blocks: list[list[str]] = []

    class Answers(NamedTuple):
        ids: list[str]

        def collect(self) -> list[str]:
            return self.ids

    def answers(_: object, some: pl.DataFrame, *__: object, **___: object) -> Answers:
        blocks.append(some["fact_id"].to_list())
        return Answers(blocks[-1])

    def known_map(ids: list[str]) -> pl.DataFrame:
        known = ["Unknown" if int(one) % 7 == 6 else "HighlyKnown" for one in ids]  # 06 and 13
        return pl.DataFrame({"fact_id": ids, "grader": ["default"] * len(ids), "category": known})

    monkeypatch.setattr(capacity_module, "probe", answers)
    monkeypatch.setattr(capacity_module, "knowledge_map", known_map)
    chosen = _unknown(MagicMock(), facts, 2, SILENT)
    assert chosen["fact_id"].to_list() == ["06", "13"]
    assert [ids[0] for ids in blocks] == ["00", "08"]
    with pytest.raises(FactsError, match="a load of 3 needs as many facts unknown to the base, there are 2"):
        _unknown(MagicMock(), facts, 3, SILENT)
