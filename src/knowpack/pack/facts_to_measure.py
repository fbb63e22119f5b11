"""Which of the facts to keep are measured: all, or of many asked once those that can be lost.

`Request` + facts to keep -> facts that report and validation are drawn from. What a small model does not know cannot be
lost, and takes as long to ask: screened, the same time shows a smaller loss (base/screening.py).
"""

from typing import NamedTuple

import polars as pl

from knowpack.base import with_something_to_lose
from knowpack.config import FactsConfig
from knowpack.pack.request import Request, config_of
from knowpack.probe.askers import Asker
from knowpack.progress import SILENT, Progress
from knowpack.records import Fact, table
from knowpack.served.opening import open_asker


class FactsToMeasure(NamedTuple):
    """Facts to measure on, and the model where it had to be asked for them."""

    facts: pl.DataFrame | None
    """None: all facts to keep."""
    asker: Asker | None


def to_measure(
    request: Request, known: pl.DataFrame, asker: Asker | None, progress: Progress = SILENT
) -> FactsToMeasure:
    """The facts that can be lost, of n_screen drawn ones; nothing is asked where no screening is wanted."""
    if request.n_screen is None:
        return FactsToMeasure(None, asker)
    if asker is None:
        with progress.stage(f"loading {request.model.name}", None):
            asker = open_asker(request.model, request.probe.batch_size)
    which = FactsConfig(screen=request.n_screen, sample_seed=request.seed)
    config = config_of(request, table([], Fact)).model_copy(update={"facts": which})
    return FactsToMeasure(with_something_to_lose(known, config, asker, progress), asker)
