"""A small server that speaks vLLM's protocol, as far as knowpack uses it, and answers from plain transformers and peft.

Written from vLLM 0.32's own protocol (entrypoints/openai/completion, entrypoints/serve/lora).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from fake_server import Reply, Running, serving


class Vllm:
    """One model in a folder; faults are switched on by name."""

    def __init__(self, folder: Path, *faults: str) -> None:
        """faults: no_runtime_lora, ignores_adapters, forgets_adapters, no_echo, no_ids."""
        self.folder, self.faults = folder, set(faults)
        self.adapters: dict[str, str] = {}
        self.unloaded: list[str] = []
        self._lock = threading.Lock()
        self._base: torch.nn.Module = AutoModelForCausalLM.from_pretrained(folder).eval()
        self._tuned = ("", self._base)

    def __call__(self, path: str, body: dict) -> Reply:
        with self._lock:
            return self._page(path, body)

    def _page(self, path: str, body: dict) -> Reply:
        if path == "/version":
            return {"version": "0.32.0"}
        if path == "/v1/models":
            base = {"id": "tiny", "root": str(self.folder), "parent": None, "owned_by": "vllm", "max_model_len": 512}
            return {
                "data": [
                    base,
                    *({**base, "id": name, "root": at, "parent": "tiny"} for name, at in self.adapters.items()),
                ]
            }
        if path == "/v1/load_lora_adapter" and "no_runtime_lora" not in self.faults:
            if "forgets_adapters" not in self.faults:
                self.adapters[body["lora_name"]] = body["lora_path"]
            return "Success: LoRA adapter added successfully."
        if path == "/v1/unload_lora_adapter" and "no_runtime_lora" not in self.faults:
            self.unloaded.append(body["lora_name"])
            del self.adapters[body["lora_name"]]
            return "Success: LoRA adapter removed successfully."
        if path == "/v1/completions":
            if body["model"] not in ("tiny", *self.adapters):
                return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
            return {"choices": [self._choice(body)]}
        return 404, {"detail": "Not Found"}

    @torch.no_grad()
    def _choice(self, body: dict) -> dict:
        model, ids = self._model(body["model"]), list(body["prompt"])
        assert body["ignore_eos"]
        out: list[int] = []
        for _ in range(body["max_tokens"]):
            logits = model(torch.tensor([[*ids, *out]])).logits[0, -1]
            if body["temperature"]:
                torch.manual_seed(body["seed"])
                out.append(int(torch.multinomial((logits / body["temperature"]).softmax(-1), 1)))
            else:
                out.append(int(logits.argmax()))
            if out[-1] in body["stop_token_ids"]:
                break
        told = [*ids, *out] if body.get("echo") and "no_echo" not in self.faults else out
        places = model(torch.tensor([[*ids, *out]])).logits[0].float().log_softmax(-1)  # (tokens, vocabulary)
        first = len(ids) + len(out) - len(told)
        logprobs = [
            None if place == 0 else float(places[place - 1, token])
            for place, token in zip(range(first, len(ids) + len(out)), told, strict=True)
        ]
        best = [
            None if place == 0 else {f"token_id:{int(places[place - 1].argmax())}": float(places[place - 1].max())}
            for place in range(first, len(ids) + len(out))
        ]
        choice = {
            "logprobs": {
                "tokens": [f"token_id:{token}" for token in told],
                "token_logprobs": logprobs,
                "top_logprobs": best,
            }
        }
        return choice if "no_ids" in self.faults else {**choice, "token_ids": out}

    def _model(self, name: str) -> torch.nn.Module:
        if name == "tiny" or "ignores_adapters" in self.faults:
            return self._base
        if self._tuned[0] != self.adapters[name]:
            plain = AutoModelForCausalLM.from_pretrained(self.folder).eval()
            self._tuned = (self.adapters[name], PeftModel.from_pretrained(plain, self.adapters[name]).eval())
        return self._tuned[1]


@contextmanager
def running(folder: Path, *faults: str) -> Iterator[tuple[Running, Vllm]]:
    """The server, and what it is."""
    vllm = Vllm(folder, *faults)
    with serving(vllm) as server:
        yield server, vllm
