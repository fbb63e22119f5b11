"""What a run is: frozen sections, and what of them changes a result.

knowpack.settings reads them from YAML and dotted overrides. `fingerprint` leaves out what changes no
result (device, batch size, paths). Defaults are what we stand behind; `preset: paper` and `preset: authors` on a run
or a study set what the paper's text says or its authors' code does (presets/).
"""

from knowpack.config.evaluation import (
    SERVED,
    BenchConfig,
    FactsConfig,
    FurtherConfig,
    ModelConfig,
    ProbeConfig,
    Seed,
    ServedConfig,
)
from knowpack.config.grid import GridCell, RayConfig, SlurmConfig, StudyConfig
from knowpack.config.one_run import NOT_A_RESULT, RunConfig, fingerprint
from knowpack.config.training import KeepRecipe, MixConfig, PlainRecipe, Recipe, TrainConfig
from knowpack.settings import Section

__all__ = [
    "NOT_A_RESULT",
    "SERVED",
    "BenchConfig",
    "FactsConfig",
    "FurtherConfig",
    "GridCell",
    "KeepRecipe",
    "MixConfig",
    "ModelConfig",
    "PlainRecipe",
    "ProbeConfig",
    "RayConfig",
    "Recipe",
    "RunConfig",
    "Section",
    "Seed",
    "ServedConfig",
    "SlurmConfig",
    "StudyConfig",
    "TrainConfig",
    "fingerprint",
]
