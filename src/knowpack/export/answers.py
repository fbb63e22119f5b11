"""What an exported file answers, beside what plain peft answers: the same ids in, greedy, text out.

peft is asked through transformers' generate, llama.cpp through its own server (package xllamacpp), in this process.
"""

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from knowpack.errors import ModelError
from knowpack.model import generation
from knowpack.model.loaded import Loaded
from knowpack.model.merge import by_plain_peft
from knowpack.probe.askers import check_logprobs

GREEDY = {"temperature": 0.0, "samplers": ["temperature"], "mirostat": 0}
"""A GGUF file may name samplers of its own (general.sampling), which come before the likeliest token is taken."""
INSTALL = "pip install 'knowpack[export]'"
TIMEOUT_SECONDS = 600


class Compared(NamedTuple):
    """One question."""

    question: str
    peft: str
    exported: str


def by_peft(loaded: Loaded, adapter: Path, prompts: Sequence[Sequence[int]], n_new: int) -> list[str]:
    """The base with the adapter beside its weights; the base is left as it was. Raises ModelError where it does not
    fit, without a prompt too."""
    with by_plain_peft(loaded, adapter) as wrapped:
        return by_transformers(loaded, prompts, n_new, wrapped)


def by_transformers(
    loaded: Loaded, prompts: Sequence[Sequence[int]], n_new: int, model: "torch.nn.Module | None" = None
) -> list[str]:
    """transformers' generate, one prompt at a time. model: peft's around the loaded one."""
    asked_model = loaded.model if model is None else model
    pad, ends = loaded.tokenizer.pad_token_id or 0, getattr(loaded.model.generation_config, "eos_token_id", None)
    texts = []
    for ids in prompts:
        row = torch.tensor([list(ids)], device=loaded.device)
        with torch.no_grad(), generation.put_aside(loaded.model, pad=pad, ends=ends):
            out = asked_model.generate(  # type: ignore[operator]
                input_ids=row,
                attention_mask=torch.ones_like(row),
                max_new_tokens=n_new,
                do_sample=False,
                return_dict_in_generate=True,
                output_scores=True,
            )
        check_logprobs([float(scores.max()) for scores in out.scores], loaded.name)
        texts.append(str(loaded.tokenizer.decode(out.sequences[0, len(ids) :], skip_special_tokens=True)))
    return texts


def by_llama_cpp(model: Path, adapter: Path | None, prompts: Sequence[Sequence[int]], n_new: int) -> list[str]:
    """llama.cpp's server on a GGUF model, with a GGUF adapter on."""
    try:
        import xllamacpp
    except ImportError:
        raise ModelError(f"comparing with llama.cpp needs its server: {INSTALL}") from None
    settings = xllamacpp.CommonParams()
    settings.model.path = str(model)
    settings.n_ctx, settings.n_parallel = max(map(len, prompts)) + n_new + 8, 1
    settings.port, settings.verbosity, settings.warmup = 0, 0, False
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = torch.get_num_threads()
    if adapter is not None:
        settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    try:
        server = xllamacpp.Server(settings)
    except RuntimeError as error:
        raise ModelError(f"llama.cpp cannot load {model.name}: {error}") from None
    return [_completed(f"{server.listening_address}/completion", list(ids), n_new) for ids in prompts]


def _completed(url: str, ids: list[int], n_new: int) -> str:
    body = {"prompt": ids, "n_predict": n_new, "cache_prompt": False, **GREEDY}
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as reply:
            return str(json.load(reply)["content"])
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"llama.cpp's server did not answer: {error}") from None
