"""A run's config -> its base: the model loaded, the facts chosen, the prompts drawn."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from knowpack import store
from knowpack.base.base import Base, of_facts
from knowpack.base.measuring import described, measure_base
from knowpack.base.screening import to_ask
from knowpack.config import RunConfig
from knowpack.facts import sources
from knowpack.facts.from_config import facts_of, shot_pool
from knowpack.probe.askers import Asker, by_ids
from knowpack.progress import SILENT, Progress
from knowpack.served.opening import open_asker


def open_base(
    config: RunConfig,
    progress: Progress = SILENT,
    *,
    asker: Asker | None = None,
    facts: pl.DataFrame | None = None,
    beside: pl.DataFrame | None = None,
) -> Base:
    """Load the model, the facts and the prompts; nothing is measured yet, but where facts are screened (to_ask).

    asker, facts: loaded already. beside: facts (Fact table) that are asked too, whatever is drawn of the others.
    """
    table = sources.load(facts_of(config)) if facts is None else facts
    shot_pool(config)  # a typo is said before the model is loaded
    if config.bench.tasks:
        from knowpack.bench.task_names import check_names

        check_names(config.bench)
    if asker is None:
        with progress.stage(f"loading {config.model.name}", None):
            asker = open_asker(config.model, config.probe.batch_size)
    if config.bench.tasks:
        by_ids(asker, "a benchmark")
    facts_asked = to_ask(table, config, asker, progress)
    if beside is not None:
        facts_asked = pl.concat(
            [facts_asked, beside.join(facts_asked, on="fact_id", how="anti", maintain_order="left")]
        )
    return of_facts(config, asker, facts_asked)


def probe_into(config: RunConfig, out: Path, progress: Progress = SILENT, *, asker: Asker | None = None) -> Base:
    """Probe config.model (its adapter merged, where it names one) into a folder of the user's choice."""
    base = replace(open_base(config, progress, asker=asker), folder=out)
    store.claim(out, "knowpack probe", described(base, config))
    measure_base(base, config, progress)
    return base
