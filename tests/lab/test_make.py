"""Building a lab: bad input in one line, a killed build goes on, a build of a small world learns its head facts."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch

from knowpack.errors import ConfigError, StoreError
from knowpack.lab import checkpoint, pretrain
from knowpack.lab import make as making
from knowpack.lab.checkpoint import Place
from knowpack.lab.corpus import N_EPOCHS
from knowpack.lab.make import make, scaled
from knowpack.lab.sizes import SIZES
from knowpack.lab.tokenizer import train_tokenizer
from knowpack.lab.world import build

TINY = scaled(SIZES["mini"], 20_000)
FEW = replace(
    SIZES["mini"],
    head=(10, 5, 5, 5, 5),
    torso=(0, 0, 0, 0, 0),
    tail=(4, 4, 2, 2, 2),
    n_shot=2,
    n_bench=2,
    n_refused=60,
    n_never=20,
    batch=2,
)
"""A third of the mini lab's facts, said as often: 770,000 tokens in 1,500 steps, not 1.7 million."""


def test_minutes_and_tokens_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        make(tmp_path, minutes=1, tokens=1_000_000)


def test_a_size_that_does_not_exist_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'huge' does not exist"):
        make(tmp_path / "out", size="huge")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write to .*file/out .*choose another --out"):
        make(tmp_path / "file" / "out", size="mini")


@pytest.mark.parametrize("torn", ["place.json", "weights.safetensors", "optimizer.safetensors"])
def test_a_half_written_checkpoint_gets_one_line(tmp_path: Path, torn: str) -> None:
    model = pretrain.new_model(TINY)
    optimizers = pretrain.make_optimizers(model)
    checkpoint.save(tmp_path / "checkpoint", model, optimizers, Place(0, "mini", 1000, step=1))
    whole = (tmp_path / "checkpoint" / torn).read_bytes()
    (tmp_path / "checkpoint" / torn).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="half-written checkpoint") as caught:
        make(tmp_path, size="mini")
    assert "\n" not in str(caught.value)


def test_a_build_of_another_seed_is_not_overwritten(tmp_path: Path) -> None:
    model = pretrain.new_model(TINY)
    checkpoint.save(tmp_path / "checkpoint", model, pretrain.make_optimizers(model), Place(3, "mini", 1000, step=1))
    with pytest.raises(StoreError, match="holds a build of seed 3"):
        make(tmp_path, seed=0, size="mini")


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    model = pretrain.new_model(TINY)
    place = Place(0, "mini", 1000, step=7)
    checkpoint.save(tmp_path / "checkpoint", model, pretrain.make_optimizers(model), place)
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")
    assert checkpoint.find(tmp_path / "checkpoint") == place


def test_the_learning_rate_warms_up_and_falls(tmp_path: Path) -> None:
    optimizers = pretrain.make_optimizers(pretrain.new_model(TINY))
    rates = []
    for step, done in ((0, 0.0), (99, 0.0), (5000, 0.5), (9000, 1.0)):
        pretrain.set_rates(optimizers, step, done)
        rates.append(optimizers[1].param_groups[0]["lr"])
    assert rates == pytest.approx([4e-5, 4e-3, 4e-3 * 0.51, 4e-3 * 0.02])


def test_a_killed_build_ends_with_the_weights_of_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build(0, TINY)
    whole = pretrain.pretrain(world, tmp_path / "whole")
    steps = 0
    step = pretrain.train_step

    def killed(*args: object) -> float:
        nonlocal steps
        steps += 1
        if steps == 12:
            raise KeyboardInterrupt
        return step(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(pretrain, "train_step", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain.pretrain(world, tmp_path / "killed", checkpoint_seconds=0.0)
    monkeypatch.setattr(pretrain, "train_step", step)
    resumed = pretrain.pretrain(world, tmp_path / "killed", checkpoint_seconds=0.0)
    ours, theirs = (load(folder / "model.safetensors") for folder in (whole, resumed))
    for name, tensor in ours.items():
        torch.testing.assert_close(theirs[name], tensor, rtol=0, atol=1e-6)


def load(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def test_packing_keeps_every_token_and_every_fourth_batch_is_long() -> None:
    docs = [" Ada Hill was born in Branvik." for _ in range(500)]
    tokenizer = train_tokenizer(docs, 300)
    rows = pretrain.packed(tokenizer, docs)
    ids = [pretrain.BOS_ID, *tokenizer(docs[0], add_special_tokens=False)["input_ids"], pretrain.END_ID]
    assert rows.flatten().tolist() == (ids * 500)[: rows.numel()]
    assert 500 * len(ids) - rows.numel() < pretrain.ROW
    assert pretrain.shaped(rows, 0, 2).shape == (2, 256)
    assert pretrain.shaped(rows, 3, 2).shape == (1, 512)


def test_more_tokens_say_everything_more_often() -> None:
    one, four = (build(0, scaled(SIZES["mini"], n)).plan["statements"].sum() for n in (400_000, 1_600_000))
    assert 3.5 < four / one < 4.5
    assert N_EPOCHS > 1


def test_a_length_in_minutes_is_turned_into_tokens() -> None:
    assert pretrain.tokens_in(1.0, TINY, steps=2) > 1000


@pytest.mark.slow
def test_a_build_learns_its_head_facts_and_not_what_is_never_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from knowpack.config import ModelConfig, ProbeConfig
    from knowpack.decode.decoder import Decoder
    from knowpack.model.load import load as load_model
    from knowpack.probe.probe import probe
    from knowpack.probe.prompts import Prompter

    monkeypatch.setitem(SIZES, "mini", FEW)
    folder = making.make(tmp_path, size="mini")
    world = build(0, FEW)
    loaded = load_model(ModelConfig(name=str(folder)))
    often = world.plan.filter(pl.col("statements") >= 40)["fact_id"]
    head = world.facts.filter(pl.col("fact_id").is_in(often.implode()))
    head = head.join(world.contested, on="fact_id", how="anti")
    never = world.facts.join(world.plan.filter(pl.col("statements") == 0), on="fact_id", how="semi")
    config = ProbeConfig(n_prompts=1, n_shots=0)
    shares = [
        probe(Decoder(loaded), facts, [[]], Prompter(loaded.tokenizer), config).collect()["matched_default"]
        for facts in (head, never)
    ]
    right, lucky = (share.is_not_null().mean() for share in shares)
    assert len(head) > 50
    assert right > 0.6
    assert lucky < 0.2
