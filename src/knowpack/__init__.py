"""knowpack: teach a language model new facts with a LoRA adapter, and know exactly what it cost.

    facts -> probe -> knowledge map -> mix -> train -> adapter -> probe -> shifts -> causes -> report
                     (base model, once)                          benchmarks, paired ------------^

Every arrow is a function from tables to tables (polars frames whose rows are the records below), every box a file in
the run's folder. `run_cell` chains them for one cell, `run_study` for a grid, `pack_facts` makes an adapter worth
shipping, `diff_model` says what somebody else's adapter changed. The study it repeats: Pletenev et al. 2025,
arXiv 2502.14502.

    from knowpack import RunConfig, run_cell
    folder = run_cell(RunConfig(label="first", facts={"path": "lab", "sample": 500}))

Names are imported when they are first used, so that `import knowpack` is cheap.
"""

from importlib import import_module

_WHERE = {
    "Category": "knowpack.records",
    "Cause": "knowpack.records",
    "Example": "knowpack.records",
    "Fact": "knowpack.records",
    "Figure": "knowpack.records",
    "Knowledge": "knowpack.records",
    "KnowpackError": "knowpack.errors",
    "Response": "knowpack.records",
    "RunConfig": "knowpack.config",
    "Score": "knowpack.records",
    "Shift": "knowpack.records",
    "StudyConfig": "knowpack.config",
    "build_report": "knowpack.report:build",
    "diff_model": "knowpack.diff:diff",
    "explain_shifts": "knowpack.measure.causes:explain",
    "grade": "knowpack.measure.grading",
    "knowledge_map": "knowpack.measure.knowledge",
    "load_facts": "knowpack.facts.sources:load",
    "load_model": "knowpack.model.load:load",
    "mix_examples": "knowpack.train.mix:mix",
    "pack_facts": "knowpack.pack.flow:pack",
    "probe_facts": "knowpack.probe.probe:probe",
    "run_cell": "knowpack.run:run",
    "shifts_between": "knowpack.measure.shifts:shifts",
    "run_study": "knowpack.study:study",
    "train_adapter": "knowpack.train.train:train",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'knowpack' has no attribute {name!r}; it has {', '.join(__all__)}")
    module, _, attribute = _WHERE[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    return __all__
