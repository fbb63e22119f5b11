"""Workers as processes of this machine: `--executor local --jobs N`.

Each gets its share of the threads and, where there are several GPUs, one of them in turn.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from knowpack.workers.worker import POLL_SECONDS, Part, Worker, WorkerEnd


class Processes:
    """An Executor."""

    def run(self, worker: Worker, part: Part, n: int, logs: Path, poll: Callable[[], None]) -> Sequence[WorkerEnd]:
        """Fresh processes, none forked from one with threads; what they print goes to logs/local-*.log."""
        logs.mkdir(parents=True, exist_ok=True)
        context = multiprocessing.get_context("spawn")
        ends, started = [], []
        for i in range(n):
            mine, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(worker, part, i, n, str(logs / f"local-{i}.log"), theirs))
            process.start()
            theirs.close()
            ends.append(mine)
            started.append(process)
        try:
            while any(process.is_alive() for process in started):
                poll()
                next((one for one in started if one.is_alive()), started[0]).join(POLL_SECONDS)
        except BaseException:
            for process in started:
                process.terminate()
            raise
        finally:
            for process in started:
                process.join()
        return [_ended(end, process.exitcode) for end, process in zip(ends, started, strict=True)]


def _ended(end: Connection, exit_code: int | None) -> WorkerEnd:
    try:
        return WorkerEnd(end.recv())
    except EOFError:
        return WorkerEnd(f"its process ended with exit code {exit_code}", is_lost=True)
    finally:
        end.close()


def _work(worker: Worker, part: Part, number: int, of: int, log: str, results: Connection) -> None:
    with open(log, "a", encoding="utf-8", buffering=1) as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
        n_gpus = torch.cuda.device_count()
        if n_gpus > 1:
            torch.cuda.set_device(number % n_gpus)
        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(max(1, torch.get_num_threads() // of))
        results.send(worker(part))
