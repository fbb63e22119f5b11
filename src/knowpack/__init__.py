"""knowpack: teach a language model new facts with a LoRA adapter, and know exactly what it cost.

    facts -> probe -> knowledge map -> mix -> train -> adapter -> probe -> shifts -> causes -> report
                     (base model, once)                          benchmarks, paired ------------^

The four things people do, each giving a result that shows itself (knowpack.api):

    import knowpack as kp
    budget = {"known_lost": 0.05, "refusals_lost": None}  # SmolLM2 refuses nothing
    result = kp.pack("facts.csv", model="smollm2", out="out/packed", budget=budget)
    result.verdict, result.figures, result.shifts, result.page

    kp.diff(model=..., adapter=..., out=...)     what somebody's adapter changed
    kp.probe(model=..., out=...)                 what a model knows
    kp.study("study.yaml")                       a grid of runs

Below them every arrow is a function from tables to tables (polars frames whose rows are the records below), every box
a file in the run's folder; `run_cell` chains them. The study it repeats: Pletenev et al. 2025, arXiv 2502.14502.
Names are imported when they are first used, so that `import knowpack` is cheap.
"""

import sys
from importlib import import_module
from types import ModuleType

CALLS = ("diff", "pack", "probe", "study")
"""Modules that can be called: kp.pack(...) is knowpack.api.pack(...), and knowpack.pack.flow is still a module."""

_WHERE = {
    "BenchConfig": "knowpack.config",
    "Budget": "knowpack.pack.budget",
    "Category": "knowpack.records",
    "Cause": "knowpack.records",
    "Example": "knowpack.records",
    "Fact": "knowpack.records",
    "FactsConfig": "knowpack.config",
    "Figure": "knowpack.records",
    "FurtherConfig": "knowpack.config",
    "KeepRecipe": "knowpack.config",
    "Knowledge": "knowpack.records",
    "KnowpackError": "knowpack.errors",
    "MixConfig": "knowpack.config",
    "ModelConfig": "knowpack.config",
    "PlainRecipe": "knowpack.config",
    "ProbeConfig": "knowpack.config",
    "RayConfig": "knowpack.config",
    "Request": "knowpack.pack.request",
    "Response": "knowpack.records",
    "Result": "knowpack.api",
    "RunConfig": "knowpack.config",
    "Score": "knowpack.records",
    "ServedConfig": "knowpack.config",
    "Shift": "knowpack.records",
    "SlurmConfig": "knowpack.config",
    "StudyConfig": "knowpack.config",
    "TrainConfig": "knowpack.config",
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
    "regrade": "knowpack.probe.probe",
    "run_cell": "knowpack.run:run",
    "shifts_between": "knowpack.measure.shifts:shifts",
    "run_study": "knowpack.study:study",
    "train_adapter": "knowpack.train.train:train",
}

__all__ = sorted([*_WHERE, *CALLS])


class _Call(ModuleType):
    """A module that can be called as well."""

    def __call__(self, *args: object, **options: object) -> object:
        return getattr(import_module("knowpack.api"), self.__name__.rpartition(".")[2])(*args, **options)


class _Package(ModuleType):
    def __setattr__(self, name: str, value: object) -> None:
        if name in CALLS and type(value) is ModuleType:  # the import system puts a submodule here
            value.__class__ = _Call
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> object:
    if name in CALLS:
        return import_module(f"knowpack.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module 'knowpack' has no attribute {name!r}; it has {', '.join(__all__)}")
    module, _, attribute = _WHERE[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    return __all__
