"""A pack that was killed in a validation, on a random model, in a few steps."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch

import tiny
from knowpack import store
from knowpack.base import Base
from knowpack.config import KeepRecipe
from knowpack.errors import BudgetError, StoreError
from knowpack.pack import trial
from knowpack.pack.flow import pack
from knowpack.pack.request import Request
from knowpack.settings import changed
from knowpack.store import hash_file
from knowpack.train import recipes

Packing = Callable[..., Request]
TIMED = {"manifest.json", "status.json", "README.md"}
FEW = {"max_steps": 4, "tail_steps": 2, "n_replay": 4, "n_made_up": 0, "n_texts": 0, "n_contexts": 0, "from_layer": 0}


@pytest.fixture(scope="module")
def packing(tmp_path_factory: pytest.TempPathFactory) -> Packing:
    folder = tmp_path_factory.mktemp("faults")
    tiny.save_model(folder / "model")
    tiny.save_facts(folder / "known.parquet")
    new = {"question": ["Who is Zed?", "Who is Ypsilon?"], "answer": ["Ann Lee", "Bob Orr"]}
    pl.DataFrame(new).write_csv(folder / "new.csv")
    settings = {
        "model.name": str(folder / "model"),
        "known": str(folder / "known.parquet"),
        "n_report": 8,
        "n_validation": 4,
        "probe.shots": str(tiny.save_shots(folder / "shots.csv")),
        "probe.n_prompts": 1,
        "probe.n_shots": 0,
        "probe.max_new_tokens": 6,
        "probe.n_floors": 1,
    }

    def request(work: Path, **more: object) -> Request:
        plain = Request(facts=str(folder / "new.csv"), out=work / "out", work=str(work / "work"))
        return changed(plain, settings | {name.replace("__", "."): value for name, value in more.items()})

    return request


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "for_model", lambda *_: KeepRecipe(**FEW))


def missed(request: Request) -> Path:
    """Nothing is learned in so few steps: all is written, and exit code 3."""
    with pytest.raises(BudgetError) as caught:
        pack(request)
    assert caught.value.exit_code == 3
    return request.out


def test_a_pack_killed_in_its_validation_does_not_train_that_attempt_again(
    packing: Packing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = missed(packing(tmp_path / "whole"))

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    made = trial.train

    def only_the_second(*given: object, **more: object) -> object:
        config = given[2]
        assert isinstance(config, KeepRecipe)
        assert config.max_steps > FEW["max_steps"], "the first attempt is trained again"
        return made(*given, **more)

    request = packing(tmp_path / "killed")
    with monkeypatch.context() as patched:
        patched.setattr(trial, "_validate", killed)
        with pytest.raises(KeyboardInterrupt):
            pack(request)
    monkeypatch.setattr(trial, "train", only_the_second)
    out = missed(request)
    first, second = sorted(out.glob("attempts/*/adapter"))
    assert (first / "adapter_model.safetensors").is_file()
    assert (second / "adapter_model.safetensors").is_file()
    # times lie in the manifest alone: the same bytes, whenever it was stopped
    for path in (whole / "pack.json", *whole.glob("attempts/*/validation.json"), *whole.rglob("*.safetensors")):
        assert hash_file(out / path.relative_to(whole)) == hash_file(path), path.name


def test_a_pack_stopped_in_its_training_goes_on_at_the_step_where_it_was(
    packing: Packing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = packing(tmp_path, effort="quick")
    monkeypatch.setattr(recipes, "for_model", lambda *_: KeepRecipe(**FEW, checkpoint_seconds=0))
    step, n_steps = torch.optim.AdamW.step, 0

    def stopped_at_the_fourth(self: torch.optim.AdamW, *given: object) -> object:
        nonlocal n_steps
        n_steps += 1
        if n_steps == 4:
            raise KeyboardInterrupt
        return step(self, *given)

    monkeypatch.setattr(torch.optim.AdamW, "step", stopped_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        pack(request)
    out = missed(request)
    assert n_steps == 1 + FEW["max_steps"] + FEW["tail_steps"], "the one that was stopped, and each of the others once"
    assert not list(out.rglob("training")), "the state is gone with the training"


@pytest.mark.parametrize(
    "name",
    [
        "adapter/adapter_model.safetensors",
        "attempts/*/validation.json",
        "attempts/*/examples.parquet",
        "attempts/*/adapter/adapter_config.json",
        "pack.json",
        "facts.parquet",
    ],
)
def test_a_damaged_file_of_a_pack_is_named_and_made_again_to_the_same_bytes(
    packing: Packing, tmp_path: Path, name: str
) -> None:
    request = packing(tmp_path, effort="normal")
    out = missed(request)
    whole = {path: hash_file(path) for path in out.rglob("*") if path.is_file() and path.name not in TIMED}
    path = sorted(out.glob(name))[0]
    data = path.read_bytes()
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 4]) + data[-8:])
    assert [one.path for one in store.verify(out)] == [path]
    with pytest.raises((StoreError, BudgetError)) as said:
        pack(request)
    if isinstance(said.value, StoreError):
        assert f"{path} is damaged" in str(said.value)
    path.unlink()
    missed(request)
    assert {one: hash_file(one) for one in whole} == whole


def test_a_single_attempt_is_judged_by_the_report_alone_and_by_more_where_more_are_asked_for(
    packing: Packing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    beside = trial.ask_beside

    def counted(base: Base, facts: pl.DataFrame, *more: object) -> pl.DataFrame:
        asked.append(facts.height)
        return beside(base, facts, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(trial, "ask_beside", counted)
    out = missed(packing(tmp_path, effort="quick"))
    assert max(asked) == 2, "the two packed facts, and none to choose among attempts by"
    told = json.loads((out / "pack.json").read_text())
    (line,) = told["frontier"]
    assert line["reliability"] == told["measured"]["reliability"]["value"]
    assert not list(out.glob("attempts/*/validation.json"))
    # the same folder, more attempts: the first adapter stays, and is judged beside the second
    trained = hash_file(next(out.glob("attempts/00-*/adapter/adapter_model.safetensors")))
    assert missed(packing(tmp_path, effort="normal")) == out
    assert hash_file(next(out.glob("attempts/00-*/adapter/adapter_model.safetensors"))) == trained
    assert len(list(out.glob("attempts/*/validation.json"))) == 2
    assert len(json.loads((out / "pack.json").read_text())["frontier"]) == 2
