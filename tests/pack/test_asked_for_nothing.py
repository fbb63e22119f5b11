"""A pack or a capacity table that goes on does not ask the base the replay prompts of adapters that it has."""

from pathlib import Path
from types import SimpleNamespace

import polars as pl

from knowpack.config import KeepRecipe
from knowpack.pack.trial import attempt
from knowpack.progress import SILENT
from knowpack.records import Example, table
from knowpack.train.base_answers import Replay


def test_an_attempt_that_is_trained_already_asks_the_base_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "attempts" / "00-0123"
    (folder / "adapter").mkdir(parents=True)
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"trained")

    def asked() -> Replay:
        raise AssertionError("minutes, for an adapter that is there")

    trial = SimpleNamespace(request=SimpleNamespace(out=tmp_path), base=None, fresh=pl.DataFrame())
    made = attempt(trial, table([], Example), KeepRecipe(), folder, asked, SILENT)  # type: ignore[arg-type]
    assert (made.folder, made.harm) == (folder, None)
