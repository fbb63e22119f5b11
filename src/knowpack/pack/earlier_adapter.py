"""The adapter that facts are added to, or taken back from: where it is, which facts it holds, of which shape it is.

`--onto` (a folder of `knowpack pack`, or an adapter with `--earlier`) -> `EarlierAdapter`. Every doubt is one line.
"""

from pathlib import Path
from typing import NamedTuple

import polars as pl
from pydantic import ValidationError

from knowpack import store
from knowpack.config import KeepRecipe
from knowpack.errors import FactsError, ModelError
from knowpack.facts import sources
from knowpack.model.adapter import AdapterFiles, check_fits, other_base, read_adapter, refuse_beyond
from knowpack.model.loaded import Loaded
from knowpack.model.locations import CONFIG, WEIGHTS
from knowpack.records import Example, Fact, Kind, table

NO_FACTS = table([], Fact)
TAKEN_BACK_FILE = "taken_back.parquet"
"""Beside an adapter of ours: the facts that it, or one that it goes on from, took back. Fact table."""
SHAPE = ("rank", "alpha", "rslora", "target_modules", "from_layer")
"""The settings of a recipe that an adapter's tensors fix."""


class EarlierAdapter(NamedTuple):
    """An adapter and the facts that were packed into it."""

    adapter: AdapterFiles
    facts: pl.DataFrame
    """Fact table."""
    recipe: KeepRecipe | None
    """As its pack kept it; None = it was not made by `knowpack pack`."""
    taken_back: pl.DataFrame = NO_FACTS
    """Fact table: packed once, and no more."""

    @property
    def folder(self) -> Path:
        """With adapter_config.json and adapter_model.safetensors."""
        return self.adapter.folder

    @property
    def key(self) -> str:
        """Of its settings and weights, by content."""
        return store.hash_of([store.hash_file(self.folder / name) for name in (CONFIG, WEIGHTS)])


def open_earlier(onto: str, facts: str | None) -> EarlierAdapter:
    """Read the adapter and its facts. facts: a table, where the folder does not say.

    Raises ModelError for no adapter, FactsError where nothing says which facts are in it.
    """
    path = Path(onto)
    home = path if (path / "pack.json").is_file() else path.parent
    inside = home / "adapter"
    named = path == home or path.resolve() == inside.resolve()  # another folder beside it holds other facts
    made_here = named and (home / "pack.json").is_file() and inside.is_dir()
    adapter = read_adapter(inside if made_here else onto)
    refuse_beyond(adapter)
    if facts is not None:
        packed = sources.load(facts)
    elif made_here:
        packed = _packed(home)
    else:
        raise FactsError(
            f"{onto} does not say which facts it holds, and they would be lost; give their table with --earlier FACTS, "
            "or the folder that `knowpack pack` wrote"
        )
    if not made_here:
        return EarlierAdapter(adapter, packed, None)
    back = home / TAKEN_BACK_FILE
    return EarlierAdapter(adapter, packed, _recipe(home), store.read_table(back, Fact) if back.is_file() else NO_FACTS)


def check_base(earlier: EarlierAdapter, loaded: Loaded) -> None:
    """Raise ModelError, before anything is asked, where the adapter is another base's."""
    message = other_base(loaded, earlier.adapter)
    if message is not None:
        raise ModelError(f"{message.partition(':')[0]}; facts are added on its own base: give that with --model")
    check_fits(loaded, earlier.adapter)


def shaped(recipe: KeepRecipe, earlier: EarlierAdapter, n_layers: int | None) -> KeepRecipe:
    """The recipe with the rank, scale and layers of the adapter. n_layers: of the model."""
    if earlier.recipe is not None:
        return recipe.model_copy(update={name: getattr(earlier.recipe, name) for name in SHAPE})
    settings = earlier.adapter.settings
    layers = settings.get("layers_to_transform")
    lowest = min(layers) / n_layers if isinstance(layers, list) and layers and n_layers else 0.0
    targets = settings.get("target_modules")
    shape = {
        "rank": settings.get("r"),
        "alpha": settings.get("lora_alpha"),
        "rslora": bool(settings.get("use_rslora")),
        "target_modules": tuple(targets) if isinstance(targets, list) else ("auto",),
        "from_layer": lowest,
    }
    try:
        return KeepRecipe.model_validate(recipe.model_dump() | shape)
    except ValidationError:
        raise ModelError(
            f"{earlier.folder}: no recipe of knowpack has this adapter's shape ({CONFIG}); pack all its facts anew"
        ) from None


def _packed(home: Path) -> pl.DataFrame:
    examples = store.read_table(home / "examples.parquet", Example)
    mine = [str(Kind.UNKNOWN), str(Kind.HIGHLY_KNOWN)]  # with those that the base answered already
    packed_ids = examples.filter(pl.col("kind").is_in(mine))["fact_id"].unique().to_list()
    facts = store.read_table(home / "facts.parquet", Fact)
    return facts.filter(pl.col("fact_id").is_in(packed_ids))


def _recipe(home: Path) -> KeepRecipe | None:
    data = store.read_json(home / "pack.json")
    recipe = data.get("recipe") if isinstance(data, dict) else None
    try:
        return None if recipe is None else KeepRecipe.model_validate(recipe)
    except ValidationError:
        raise FactsError(f"{home / 'pack.json'} holds no recipe that this version reads; pack all facts anew") from None
