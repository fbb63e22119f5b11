"""Workers as Ray tasks: `--executor ray`. A task whose node is lost starts again on another one.

RayConfig -> ray.init(address=...) and one task a worker, with its CPUs and GPUs. Ray sees to it that a task finds the
GPU that it was given; OMP_NUM_THREADS is num_cpus.
"""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from knowpack.config import RayConfig
from knowpack.errors import ConfigError
from knowpack.workers.worker import POLL_SECONDS, Part, Worker, WorkerEnd

if TYPE_CHECKING:
    import ray

N_RESTARTS = 3  # of one task, by Ray; what is still left then is a new round's


class RayTasks:
    """An Executor."""

    def __init__(self, config: RayConfig) -> None:
        self._config = config

    def run(self, worker: Worker, part: Part, n: int, logs: Path, poll: Callable[[], None]) -> Sequence[WorkerEnd]:
        """n tasks, spread over the nodes; Ray keeps what they print in its own session's logs."""
        try:
            import ray
        except ImportError:
            raise ConfigError("--executor ray needs Ray: pip install 'knowpack[ray]'") from None
        self._connect()
        n_gpus = self._config.num_gpus
        if n_gpus is None:
            resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
            n_gpus = 1 if resources.get("GPU") else 0
        task = ray.remote(
            num_cpus=self._config.num_cpus,
            num_gpus=n_gpus,
            max_retries=N_RESTARTS,
            scheduling_strategy="SPREAD",
        )(_work)
        tasks = [task.remote(worker, part) for _ in range(n)]
        try:
            left = tasks
            while left:
                poll()
                left = ray.wait(left, num_returns=len(left), timeout=POLL_SECONDS)[1]
        except BaseException:
            for one in tasks:
                ray.cancel(one, force=True)
            raise
        return [_ended(one) for one in tasks]

    def _connect(self) -> None:
        import ray

        if ray.is_initialized():
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        try:
            ray.init(address=self._config.address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise ConfigError(f"ray.address: cannot reach the cluster at {self._config.address}: {first}") from None


def _work(worker: Worker, part: Part) -> str | None:
    return worker(part)


def _ended(task: "ray.ObjectRef[str | None]") -> WorkerEnd:
    import ray

    try:
        return WorkerEnd(ray.get(task))
    except ray.exceptions.RayTaskError:  # the worker's own exception: a bug keeps its traceback
        raise
    except ray.exceptions.RayError as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        return WorkerEnd(f"{type(error).__name__}: {first}", is_lost=True)
