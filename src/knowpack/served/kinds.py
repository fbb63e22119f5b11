"""What a server says of itself and of a model: which software it is, and what of that goes into the model's identity.

Server + model name -> Description. The url is no part of it: the same model at another address is the same model. What
a server does not say (whether the weights behind a name were replaced) cannot be known: docs/served.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from knowpack.errors import ModelError
from knowpack.served.client import Server, printable

Kind = Literal["vllm", "llama.cpp", "other"]
TELLING = ("id", "root", "parent", "owned_by", "hash", "sha", "digest", "revision")
"""Fields of a listed model that say what it is; others (when the server started, its window) do not."""
META = ("vocab_type", "n_vocab", "n_embd", "n_params", "size", "ftype")  # llama.cpp, of a GGUF file


@dataclass(frozen=True, slots=True)
class Description:
    """A served model as its server describes it."""

    kind: Kind
    answers: Mapping[str, object]
    """What goes into the identity."""
    root: str | None
    """The folder or hub name that vLLM was started with."""
    chat_template: str | None
    window: int | None = None
    """Tokens that a prompt and its answer may have, where vLLM says it; no part of the identity."""


def describe(server: Server) -> Description:
    """Ask the server. Raises ModelError in one line where it is gone, or does not have the model."""
    name = server.address.name
    listed = _listed(server)
    mine: dict[str, object] = next((one for one in listed if one["id"] == name), {})
    if listed and not mine:
        has = printable(", ".join(str(one["id"]) for one in listed))
        raise ModelError(f"the server at {server.address.url} has no model {name}; it has {has}")
    answers: dict[str, object] = {"name": name}
    answers |= {key: mine[key] for key in TELLING if isinstance(mine.get(key), str)}
    kind: Kind = "other"
    template = None
    owner = mine.get("owned_by")
    if owner == "vllm":
        kind = "vllm"
        version = server.page("//version")
        answers["version"] = str(version.get("version")) if isinstance(version, dict) else None
    elif owner == "llamacpp":
        kind = "llama.cpp"
        meta = mine.get("meta")
        answers["meta"] = {key: meta.get(key) for key in META} if isinstance(meta, dict) else None
        props = server.page("//props")
        if isinstance(props, dict):
            answers["file"] = str(props.get("model_path", "")).replace("\\", "/").rpartition("/")[2]
            answers["build"] = str(props.get("build_info"))
            template = props.get("chat_template")
    root, window = mine.get("root"), mine.get("max_model_len")
    return Description(
        kind,
        answers,
        root if isinstance(root, str) else None,
        template if isinstance(template, str) else None,
        window if isinstance(window, int) else None,
    )


def names(server: Server) -> set[str]:
    """All models that the server lists, adapters of vLLM's among them; empty where it lists none."""
    return {str(one["id"]) for one in _listed(server)}


def _listed(server: Server) -> list[dict[str, object]]:
    page = server.page("/models")
    data = page.get("data") if isinstance(page, dict) else None
    return [one for one in data if isinstance(one, dict) and "id" in one] if isinstance(data, list) else []
