"""What a command names, looked at before torch is imported: a typo in a name, a table or a folder costs no waiting.

names -> nothing, or the error that would have come seconds later. Hub names of adapters are left to their turn.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from knowpack.bench.task_names import check_names
from knowpack.config import SERVED, ModelConfig, RunConfig
from knowpack.facts import sources
from knowpack.facts.from_config import facts_of, pool_is_file, shot_pool
from knowpack.model import gguf_files
from knowpack.model.locations import adapter_folder, on_the_hub, source_of
from knowpack.served.address import check_answers, parse
from knowpack.store import refuse_file, refuse_foreign
from knowpack.train.drawable import check_runs


def check_inputs(
    config: RunConfig, *, out: Path | None = None, command: str = "", tables: Iterable[str | None] = ()
) -> None:
    """The model, facts, shots and benchmarks of a run. out: the folder that `command` is to write; tables: of facts,
    beside its own."""
    if out is not None:
        refuse_foreign(out, command)
    refuse_file(Path(config.work), "work")
    if config.bench.tasks:
        check_names(config.bench)
    check_model(config.model)
    if facts_of(config) not in sources.SOURCES:
        sources.load(facts_of(config))
    for table in tables:
        if table and table not in sources.SOURCES:
            sources.load(table, contradictions="keep")
    if pool_is_file(config):
        shot_pool(config)


def check_cells(runs: Sequence[RunConfig]) -> None:
    """What the cells of a study name, each thing once: models, tables and benchmarks may differ from cell to cell. And
    whether their mixes can be drawn, as far as the tables tell."""
    seen: list[object] = []
    for one in runs:
        named = (one.model, one.facts, one.probe.shots, one.bench)
        if named not in seen:
            check_inputs(one)
            seen.append(named)
    check_runs(runs)


def check_model(model: ModelConfig) -> None:
    """The model by its name, and the adapter where that is a folder: a server may have its own under a name."""
    if model.name.startswith(SERVED):
        check_answers(parse(model.name))
        return
    if gguf_files.find(model.name, model.revision) is None:
        source_of(model.name, model.revision)
    if model.adapter is not None and on_the_hub(model.adapter) is None:
        adapter_folder(model.adapter)
