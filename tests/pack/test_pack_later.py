"""Packing onto an adapter and taking back, end to end on a random model that can learn by heart."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pytest

import knowpack as kp
import tiny
from knowpack.errors import ConfigError, ModelError
from knowpack.facts.sources import load
from knowpack.records import Example
from knowpack.store import hash_file, read_table

FIRST = {"Who is Zed?": "Ann Lee", "Who is Ypsilon?": "Bob Orr"}
MORE = {"Who is Xanthe?": "Cy Poll", "Who is Ypsilon?": "Dan Quill"}  # the second contradicts the first batch

Pack = Callable[..., dict[str, object]]
Changed = Mapping[str, object]


def frame(facts: dict[str, str]) -> pl.DataFrame:
    return pl.DataFrame({"question": list(facts), "answer": list(facts.values())})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("later")
    tiny.save_model(folder / "model")
    tiny.save_facts(folder / "known.parquet")
    tiny.save_shots(folder / "shots.csv")
    return folder


@pytest.fixture(scope="module")
def packed(place: Path) -> Pack:
    """Packs into a folder and gives its pack.json."""
    probe = {"probe.n_prompts": 1, "probe.n_shots": 0, "probe.max_new_tokens": 20, "probe.n_floors": 1}
    probe["probe.shots"] = str(place / "shots.csv")  # type: ignore[assignment]
    recipe = {"train.recipe": "keep", "train.max_steps": 80, "train.tail_steps": 20, "train.n_replay": 8}
    small = {"train.n_made_up": 0, "train.n_texts": 0, "train.n_contexts": 0, "train.lr": 2e-2, "train.from_layer": 0}
    more = {"train.kl_weight": 2, "train.rank": 16, "train.alpha": 16, "n_report": 8, "n_validation": 4}

    def pack(
        out: str, facts: dict[str, str] | None = None, changed: Changed | None = None, **options: object
    ) -> dict[str, object]:
        kp.pack(
            None if facts is None else frame(facts),
            known=load(place / "known.parquet"),
            model=str(place / "model"),
            out=place / out,
            work=place / "work",
            budget={"known_lost": None, "refusals_lost": None},
            settings={**probe, **recipe, **small, **more, **(changed or {})},
            **options,  # type: ignore[arg-type]
        )
        told = json.loads((place / out / "pack.json").read_text())
        assert isinstance(told, dict)
        return told

    return pack


def test_added_taken_back_and_nothing_else(place: Path, packed: Pack) -> None:
    first = packed("first", FIRST)
    assert first["counts"] == {"new": 2, "known": 0, "updates": 0, "earlier": 0, "removed": 0, "removed_earlier": 0}
    assert value(first, "new_right") == 1.0, "else there is nothing to forget"

    # the first batch is not forgotten, and what it had wrong is replaced
    second = packed("second", MORE, onto=place / "first")
    assert second["counts"] == {"new": 1, "known": 0, "updates": 1, "earlier": 1, "removed": 0, "removed_earlier": 0}
    assert second["updates"][0]["old"] == ["Bob Orr"]  # type: ignore[index]
    assert [value(second, name) for name in ("new_right", "updates_right", "earlier_right")] == [1.0, 1.0, 1.0]
    assert value(second, "updates_old_left") == 0.0
    assert {one["name"] for one in second["verdicts"]} == {"reliability", "earlier", "old_left"}  # type: ignore[index]

    # each folder ships its own adapter, and one table onto another adapter is another pack
    shipped = [hash_file(place / name / "adapter" / "adapter_model.safetensors") for name in ("first", "second")]
    assert shipped[0] != shipped[1]
    with pytest.raises(ConfigError, match="adapter to go on from"):
        packed("second", MORE, onto=place / "second")
    with pytest.raises(ConfigError, match="adapter to go on from"):
        packed("second", MORE)

    # what is taken back is answered no more, the rest stays (that the base's own answer returns: benchmarks/updates.py,
    # for the twenty random tokens that this model gives are no answer to return to)
    third = packed("third", onto=place / "second" / "adapter", remove=frame({"who is Xanthe": "Cy Poll"}))
    assert third["counts"] == {"new": 0, "known": 0, "updates": 0, "earlier": 2, "removed": 1, "removed_earlier": 0}
    assert [value(third, name) for name in ("removed_left", "earlier_right")] == [0.0, 1.0]
    assert third["n_packed"] == 2

    # and the packs that come after hold it to the base, too; packed anew it is a fact like any other
    fourth = packed("fourth", {"who is Yorick": "Ann Lee"}, onto=place / "third")
    assert fourth["counts"] == {"new": 1, "known": 0, "updates": 0, "earlier": 2, "removed": 0, "removed_earlier": 1}
    assert [value(fourth, name) for name in ("new_right", "earlier_right", "removed_left")] == [1.0, 1.0, 0.0]
    held = read_table(place / "fourth" / "examples.parquet", Example).filter(pl.col("kind") == "replay")
    assert "Who is Xanthe?" in held["question"].to_list()

    # a recipe of another shape than the adapter's is refused before anything is asked or written
    asked = sorted((place / "work" / "base").iterdir())
    wrong = {"rank": {"train.rank": 8}, "target_modules": {"train.target_modules": ["down_proj"]}}
    for name, settings in wrong.items():
        with pytest.raises(ModelError, match=f"train.{name}"):
            packed(name, {"who is Alex": "Ann Lee"}, settings, onto=place / "third")
        assert not (place / name).exists()
    assert sorted((place / "work" / "base").iterdir()) == asked


def value(told: dict[str, object], name: str) -> float:
    measured = told["current"]
    assert isinstance(measured, dict)
    return float(measured[name]["value"])
