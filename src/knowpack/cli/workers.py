"""A study's workers as a person asks for them: --executor, --jobs, --shard."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from knowpack.base import Base
    from knowpack.config import StudyConfig
    from knowpack.config.shard import Shard
    from knowpack.workers.worker import Executor


def run_study(
    config: "StudyConfig",
    name: Literal["local", "submitit", "ray"],
    jobs: int,
    shard: "Shard | None",
    quiet: bool,
    base: "Base | None",
) -> Path:
    """In this process where one worker is asked here, else by as many as are asked. Returns the study's folder."""
    from knowpack.cli.console import Plain, progress
    from knowpack.study import folder_of_study, study
    from knowpack.workers.rounds import study_by

    bars = progress(quiet, folder_of_study(config))
    if shard is not None:
        return study(config, bars, base, shard)
    if name == "local" and jobs == 1:
        return study(config, bars, base)
    return study_by(_executor(config, name), config, jobs, bars, Plain())


def _executor(config: "StudyConfig", name: Literal["local", "submitit", "ray"]) -> "Executor":
    match name:
        case "local":
            from knowpack.workers.processes import Processes

            return Processes()
        case "submitit":
            from knowpack.workers.slurm import Submitit

            return Submitit(config.slurm)
        case "ray":
            from knowpack.workers.ray_tasks import RayTasks

            return RayTasks(config.ray)
