"""A pack that was killed in a validation, on a random model, in a few steps."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import tiny
from knowpack.errors import BudgetError
from knowpack.pack import trial
from knowpack.pack.flow import pack
from knowpack.pack.request import Request
from knowpack.settings import changed
from knowpack.store import hash_file

Packing = Callable[..., Request]


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
        "train.recipe": "keep",
        "train.max_steps": 4,
        "train.tail_steps": 2,
        "train.n_replay": 4,
        "train.n_made_up": 0,
        "train.n_texts": 0,
        "train.n_contexts": 0,
        "train.from_layer": 0,
    }

    def request(work: Path, **more: object) -> Request:
        plain = Request(facts=str(folder / "new.csv"), out=work / "out", work=str(work / "work"))
        return changed(plain, settings | {name.replace("__", "."): value for name, value in more.items()})

    return request


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

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    request = packing(tmp_path / "killed")
    with monkeypatch.context() as patched:
        patched.setattr(trial, "_validate", killed)
        with pytest.raises(KeyboardInterrupt):
            pack(request)
    monkeypatch.setattr(trial, "train", never)
    out = missed(request)
    (adapter,) = out.glob("attempts/*/adapter")
    assert (adapter / "adapter_model.safetensors").is_file()
    # times lie in the manifest alone: the same bytes, whenever it was stopped
    for path in (whole / "pack.json", *whole.glob("attempts/*/validation.json"), *whole.rglob("*.safetensors")):
        assert hash_file(out / path.relative_to(whole)) == hash_file(path), path.name
