"""A grid of runs: cells and seeds over one base run, and how its workers are asked for."""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from knowpack import presets
from knowpack.config.evaluation import Seed
from knowpack.config.one_run import Preset, RunConfig
from knowpack.settings import Section, changed

OF_THE_STUDY = {
    "seed": "seeds sets for all cells",
    "work": "is one for all cells: set it in base",
}
"""Settings of a run that a cell cannot have: they would be read by nothing, or leave the study's own folder."""
_FOLDER = re.compile(r"\w[\w .+,()=@#-]{0,99}")


class GridCell(NamedTuple):
    """One run of a grid."""

    run: RunConfig
    sham: RunConfig | None
    """The same training on facts that were HighlyKnown already; None = not asked."""


class SlurmConfig(Section):
    """How submitit asks for workers (`knowpack study --executor submitit`); no result depends on it."""

    cluster: Literal["slurm", "local", "debug"] | None = None
    """None: slurm where there is `srun`, else local, processes of this machine."""
    parameters: dict[str, str | int | float | bool | list[str]] = Field({})
    """What one worker gets, under the names of submitit's AutoExecutor: timeout_min, gpus_per_node, cpus_per_task,
    mem_gb; those of SLURM alone with `slurm_` before them: slurm_partition, slurm_account, slurm_qos, slurm_setup."""


class RayConfig(Section):
    """How Ray places workers (`knowpack study --executor ray`); no result depends on it."""

    address: str | None = None
    """Of a running cluster (`auto`, `host:port`, `ray://...`); None: RAY_ADDRESS, else one on this machine."""
    num_cpus: float = Field(1, ge=0)
    """Of one worker, as threads too."""
    num_gpus: float | None = Field(None, ge=0)
    """Of one worker; None: one where the cluster has any."""


class StudyConfig(Section):
    """A grid of runs: the base run, the cells (dotted settings that differ) and the seeds."""

    name: str = "study"
    preset: Preset | None = None
    """The base run's preset, and the seeds of its source."""
    seeds: tuple[Seed, ...] = (42,)
    sham: bool = False
    """Beside each cell a sham: the same training on facts that were HighlyKnown. A cell's own `sham` comes first."""
    base: RunConfig = RunConfig()
    cells: tuple[dict[str, str | int | float | bool | None], ...] = ()
    """Each a label and the dotted settings of the run it changes: {label: "50+10 HK", mix.n_unknown: 50, ...}."""
    slurm: SlurmConfig = SlurmConfig()
    ray: RayConfig = RayConfig()

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, data: object) -> object:
        if not isinstance(data, Mapping) or data.get("preset") is None:
            return data
        base, name = data.get("base", {}), data["preset"]
        below = {"preset": name, **base} if isinstance(base, Mapping) else base
        return {"seeds": presets.preset(str(name)).seeds, **data, "base": below}

    @classmethod
    def spelled_out(cls, settings: Mapping[str, object]) -> dict[str, object]:
        """A preset, of the study or of its base, sets all that it stands for but what is set beside it."""
        spelled: dict[str, object] = {}
        if (name := settings.get("preset")) is not None:
            spelled = {"seeds": list(presets.preset(str(name)).seeds), **presets.dotted(str(name), "base.")}
        if (name := settings.get("base.preset")) is not None:
            spelled |= presets.dotted(str(name), "base.")
        return {**spelled, **settings}

    @field_validator("name")
    @classmethod
    def _one_folder(cls, name: str) -> str:
        if not _FOLDER.fullmatch(name) or name.endswith((".", " ")):
            raise ValueError("a study's name is that of its folder: up to 100 letters, digits, spaces and -_.+,()=@#")
        return name

    @model_validator(mode="after")
    def _cells(self) -> "StudyConfig":
        labels = [str(cell.get("label", "")) for cell in self.cells]
        if "" in labels or len(set(labels)) != len(labels):
            raise ValueError(f"every cell needs a label of its own; got {labels}")
        for label, cell in zip(labels, self.cells, strict=True):
            for name in cell.keys() & OF_THE_STUDY.keys():
                raise ValueError(f"the cell {label} sets {name}, which {OF_THE_STUDY[name]}")
        return self

    @model_validator(mode="after")
    def _seeds(self) -> "StudyConfig":
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: each one once, or a run would count twice; got {list(self.seeds)}")
        if self.base.seed not in (*self.seeds, RunConfig().seed):
            raise ValueError(f"base.seed={self.base.seed} is read by no run of a study: set seeds: [{self.base.seed}]")
        return self

    def grid(self) -> list[GridCell]:
        """The runs of the grid, cells in order, seeds within a cell, each with its sham where one is asked."""
        cells = []
        for cell in self.cells:
            settings = {key: value for key, value in cell.items() if key != "sham"}
            for seed in self.seeds:
                run = changed(self.base, {**settings, "seed": seed})
                wanted = cell.get("sham", self.sham) and not run.mix.sham
                cells.append(GridCell(run, _sham_of(run) if wanted else None))
        return cells

    def runs(self) -> list[RunConfig]:
        """All runs, a sham before the run that it stands beside."""
        return [run for cell in self.grid() for run in (cell.sham, cell.run) if run is not None]


def _sham_of(run: RunConfig) -> RunConfig:
    mix = run.mix.model_copy(update={"sham": True})
    return run.model_copy(update={"label": f"sham of {run.label}", "mix": mix})
