"""An adapter out: written as asked, read back by the engine that it is for, its answers beside peft's.

adapter + base -> one file (gguf, merged-gguf) or one folder (merged, ollama), and what it answers to the packed facts.
"""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import polars as pl

from knowpack import store
from knowpack.config import ModelConfig
from knowpack.errors import ConfigError, ModelError
from knowpack.export import answers, lora_gguf, model_gguf, ollama
from knowpack.export.answers import Compared
from knowpack.export.layouts import layout_of
from knowpack.facts import sources
from knowpack.model import gguf_files
from knowpack.model.adapter import AdapterFiles, read_adapter
from knowpack.model.load import load
from knowpack.model.loaded import Loaded
from knowpack.model.locations import MADE_ON
from knowpack.model.merge import merged
from knowpack.probe.prompts import Prompter
from knowpack.progress import SILENT, Progress
from knowpack.records import Example, Kind

Form = Literal["gguf", "merged", "merged-gguf", "ollama"]
MODEL, N_NEW = "model.gguf", 32


class Exported(NamedTuple):
    """What was written, and how it answers."""

    path: Path
    compared: list[Compared]
    """Question by question; empty where nothing was asked."""
    why_not: str | None = None
    """Why nothing was asked, in one line."""

    @property
    def n_same(self) -> int:
        """Questions with the same answer."""
        return sum(one.peft.strip() == one.exported.strip() for one in self.compared)


def export(
    adapter: Path,
    model: ModelConfig | None,
    form: Form,
    out: Path,
    facts: str | None = None,
    n_asked: int = 40,
    progress: Progress = SILENT,
) -> Exported:
    """Write the adapter as `form` into `out`. model None: the base that the adapter says it was trained on.

    facts: a source or a table; None: the examples beside the adapter, where there are any. n_asked 0: compare nothing.
    """
    if out.exists():
        raise ConfigError(f"{out} is there already; give another --out")
    files = read_adapter(adapter)
    named = model or _base_of(files)
    with progress.stage(f"loading {named.name}", None):
        loaded = load(named)
    questions = _questions(files.folder, facts)[:n_asked]
    prompter = Prompter(loaded.tokenizer)
    prompts = [prompter.encode((), question) for question in questions]
    with progress.stage("answers of peft", None):
        before = answers.by_peft(loaded, files.folder, prompts, N_NEW)
    with progress.stage(f"writing {form}", None):
        ask = _writers(loaded, files.folder, out, prompter)[form]()
    if not prompts:
        return Exported(out, [], "no packed facts beside the adapter; name them by --facts")
    try:
        with progress.stage(f"answers of {form}", None):
            after = ask(prompts)
    except ModelError as error:  # what was written stands
        return Exported(out, [], str(error))
    return Exported(out, [Compared(*row) for row in zip(questions, before, after, strict=True)])


Ask = Callable[[list[list[int]]], list[str]]


def _writers(loaded: Loaded, adapter: Path, out: Path, prompter: Prompter) -> dict[str, Callable[[], Ask]]:
    """Form -> what writes it, and returns what asks it."""
    files, base = read_adapter(adapter), gguf_files.find(loaded.name)

    def lora() -> Ask:
        layout = layout_of(loaded.model.config)
        lora_gguf.write(out, files, layout)
        if base is not None:
            return lambda prompts: answers.by_llama_cpp(base.path, out, prompts, N_NEW)

        def on_its_base(prompts: list[list[int]]) -> list[str]:
            with TemporaryDirectory(dir=out.absolute().parent) as beside:  # llama.cpp needs the base in its own format
                plain = Path(beside) / "base.gguf"
                model_gguf.written(plain, loaded, layout)
                return answers.by_llama_cpp(plain, out, prompts, N_NEW)

        return on_its_base

    def one_file(path: Path) -> Ask:
        layout = layout_of(loaded.model.config)
        if base is not None:
            model_gguf.rewritten(path, base.path, files, layout)
        else:
            with merged(loaded, adapter) as tuned:
                model_gguf.written(path, tuned, layout)
        return lambda prompts: answers.by_llama_cpp(path, None, prompts, N_NEW)

    def folder() -> Ask:
        with merged(loaded, adapter) as tuned, store.atomic(out) as beside:
            config = tuned.model.config
            output = tuned.model.get_output_embeddings()  # type: ignore[no-untyped-call]
            config.tie_word_embeddings = output is None or output.weight is tuned.model.get_input_embeddings().weight
            tuned.model.save_pretrained(str(beside))
            tuned.tokenizer.save_pretrained(str(beside))
        return lambda prompts: answers.by_transformers(load(ModelConfig(name=str(out))), prompts, N_NEW)

    def with_modelfile() -> Ask:
        ask = one_file(out / MODEL)
        store.write_text(out / "Modelfile", ollama.modelfile(MODEL, prompter))
        return ask

    return {"gguf": lora, "merged": folder, "merged-gguf": lambda: one_file(out), "ollama": with_modelfile}


def _questions(adapter: Path, facts: str | None) -> list[str]:
    """The packed facts' own questions, each once, in their order."""
    if facts is not None:
        return sources.load(facts)["question"].to_list()
    beside = adapter.absolute().parent / "examples.parquet"
    if not beside.is_file():
        return []
    examples = store.read_table(beside, Example).filter(pl.col("kind") == str(Kind.UNKNOWN))
    return examples.unique("fact_id", maintain_order=True, keep="first")["question"].to_list()


def _base_of(adapter: AdapterFiles) -> ModelConfig:
    """As knowpack wrote it beside the adapter, or as peft did in the adapter's settings."""
    made_on: dict[str, object] = {}
    try:
        made_on = dict(json.loads((adapter.folder / MADE_ON).read_text(encoding="utf-8")))
        name: str | None = str(made_on["base"])
    except (OSError, ValueError, KeyError, TypeError):
        name = adapter.base_name
    if name is None:
        raise ConfigError(f"{adapter.folder} does not say what it was trained on; give --model")
    revision = made_on.get("revision") or adapter.settings.get("revision")
    return ModelConfig(name=name, revision=revision if isinstance(revision, str) and revision else None)
