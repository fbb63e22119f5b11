"""A study by many workers: the base first, then rounds of workers until every cell has ended.

StudyConfig, Executor -> the study's folder. This process loads no model: it may run on a login node. What it sees are
the files in the work directory; if it is killed, workers elsewhere go on, and the same command joins them.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from knowpack import store
from knowpack.config import StudyConfig
from knowpack.errors import WorkerError
from knowpack.progress import SILENT, Progress
from knowpack.state import cells
from knowpack.study import begun, compare_shams, folder_of_study, is_ended
from knowpack.workers.worker import POLL_SECONDS, Executor, Part, Worker, WorkerEnd


def study_by(
    executor: Executor,
    config: StudyConfig,
    jobs: int,
    progress: Progress = SILENT,
    worker_progress: Progress = SILENT,
) -> Path:
    """Run all cells that are not done by `jobs` workers at a time. Returns the study's folder.

    worker_progress: what shows the progress inside a worker; it is sent there. Raises WorkerError where a worker could
    not go on, or where all were lost and no cell was finished.
    """
    folder, logs = folder_of_study(config), folder_of_study(config) / "jobs"
    worker = Worker(config.model_dump_json(), os.getcwd(), begun(config), worker_progress)

    def work(part: Part, n: int, poll: Callable[[], None]) -> list[WorkerEnd]:
        ended = list(executor.run(worker, part, n, logs, poll))
        for one in ended:
            if one.error is not None and not one.is_lost:
                raise WorkerError(one.error)
        return ended

    with progress.stage(f"study {config.name}: the base", None):
        for ended in work("base", 1, lambda: None):
            if ended.is_lost:
                raise WorkerError(f"the worker that measures the base was lost ({ended.error}); its log: {logs}")
    with progress.stage(f"study {config.name}: cells, {jobs} workers", len(config.runs())) as advance:
        n_seen = 0

        def look() -> None:
            nonlocal n_seen
            now = sum(is_ended(cell.folder, worker.since) for cell in cells(folder))
            advance(now - n_seen)
            n_seen = now

        look()
        while left := len(config.runs()) - n_seen:
            before = n_seen
            lost = [one for one in work("cells", min(jobs, left), look) if one.is_lost]
            _wait_while_held(folder, look)
            if n_seen == before:
                why = f"{len(lost)} lost, the first: {lost[0].error}" if lost else "none was lost"
                raise WorkerError(f"the workers ended without finishing a cell ({why}); their logs: {logs}")
    compare_shams(config)
    return folder


def _wait_while_held(folder: Path, look: Callable[[], None]) -> None:
    """Until nobody holds a cell: a worker of another command, or one that is lost and whose lease runs out."""
    look()
    while any(cell.state == "running" and store.holder(cell.folder) for cell in cells(folder)):
        time.sleep(POLL_SECONDS)
        look()
