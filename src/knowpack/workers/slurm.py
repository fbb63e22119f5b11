"""Workers as SLURM jobs, through submitit: `--executor submitit`; `slurm.cluster: local` runs them on this machine.

SlurmConfig -> submitit's AutoExecutor. A job that SLURM preempts or whose time is over is put in the queue again; what
it had finished is on the disk. submitit keeps its own files (pickles, which nobody else reads) and the logs in the
study's folder jobs/.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from knowpack.config import SlurmConfig
from knowpack.errors import ConfigError
from knowpack.workers.worker import POLL_SECONDS, Part, Worker, WorkerEnd

if TYPE_CHECKING:
    import submitit

DEFAULTS = {"name": "knowpack", "timeout_min": 24 * 60}


@dataclass(frozen=True, slots=True)
class Job:
    """What a job calls."""

    worker: Worker
    part: Part

    def __call__(self) -> str | None:
        """The worker's error in one line, None where all is well."""
        return self.worker(self.part)

    def checkpoint(self) -> "submitit.helpers.DelayedSubmission":
        """What submitit puts in the queue again before the job is stopped: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class Submitit:
    """An Executor."""

    def __init__(self, config: SlurmConfig) -> None:
        self._config = config

    def run(self, worker: Worker, part: Part, n: int, logs: Path, poll: Callable[[], None]) -> Sequence[WorkerEnd]:
        """One array of n jobs. They are cancelled where this process is interrupted, and go on where it is killed."""
        executor = self._executor(logs)
        with executor.batch():
            jobs = [executor.submit(Job(worker, part)) for _ in range(n)]
        try:
            while not all(job.done() for job in jobs):
                poll()
                time.sleep(POLL_SECONDS)
        except BaseException:
            for job in jobs:
                job.cancel(check=False)
            raise
        return [_ended(job) for job in jobs]

    def _executor(self, logs: Path) -> "submitit.AutoExecutor":
        try:
            import submitit
        except ImportError:
            raise ConfigError("--executor submitit needs submitit: pip install 'knowpack[slurm]'") from None
        try:
            executor = submitit.AutoExecutor(folder=logs, cluster=self._config.cluster)
            executor.update_parameters(**(DEFAULTS | self._config.parameters))
        except (NameError, ValueError, TypeError, AssertionError, RuntimeError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise ConfigError(f"slurm.parameters: submitit refuses them: {first}") from None
        return executor


def _ended(job: "submitit.Job[str | None]") -> WorkerEnd:
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        return WorkerEnd(job.result())
    except UncompletedJobError as error:  # it left no result: killed, out of memory, its node gone
        return WorkerEnd(f"job {job.job_id}: {_last_line(error)}", is_lost=True)
    except FailedJobError as error:
        raise RuntimeError(f"job {job.job_id} of this study has a bug of knowpack's in its log:\n{error}") from error


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
