"""llama.cpp's own server, of the package xllamacpp, in this process: the lab as GGUF, with adapters."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import xllamacpp

from gguf_file import lora_written, written
from knowpack.model.loaded import Loaded


class LlamaServer(NamedTuple):
    """A server that runs as long as this is kept."""

    server: xllamacpp.Server
    url: str


def start(model: Path, name: str, adapters: list[Path]) -> LlamaServer:
    """All adapters are on from the start, as `llama-server --lora` has them."""
    settings = xllamacpp.CommonParams()
    settings.model.path = str(model)
    settings.model_alias = {name}
    settings.n_ctx, settings.n_parallel = 1024, 2
    settings.port, settings.verbosity, settings.warmup = 0, 0, False
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0) for adapter in adapters]
    server = xllamacpp.Server(settings)
    return LlamaServer(server, f"{server.listening_address}/v1")


def lab_files(lab: Loaded, folder: Path) -> tuple[Path, Path, Path]:
    """The lab as GGUF, and two adapters: `loud`, which changes its answers, and `silent`, which is zero."""
    model = written(folder / "lab.gguf", lab.model, lab.tokenizer, pre="gpt-2")  # type: ignore[arg-type]
    numbers = np.random.default_rng(0)
    config = lab.model.config
    wide, narrow = config.intermediate_size, config.hidden_size
    made = []
    for name, size in (("loud", 1.0), ("silent", 0.0)):
        halves = {}
        for layer in range(config.num_hidden_layers):
            module = f"model.layers.{layer}.mlp.down_proj"
            halves[f"{module}.lora_a"] = numbers.normal(size=(4, wide))
            halves[f"{module}.lora_b"] = size * numbers.normal(size=(narrow, 4))
        made.append(lora_written(folder / f"{name}.gguf", halves, 4.0))
    return model, *made
