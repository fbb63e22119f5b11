"""What is said of an adapter that is measured all the same: what its maker had that is not here.

Loaded base + an adapter's folder and settings -> a line each. Settings that this peft does not know, a task that is
none of a language model's, a base that its training had rewritten, a tokenizer or chat template of its own.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import peft

from knowpack.model.loaded import Loaded

NOTHING: tuple[object, ...] = (None, False, "", [], {})
READ_ELSEWHERE = {"runtime_config", "enable_lora", "merge_weights"}
"""No fields of LoraConfig, and nothing is lost with them: of one run only, and of peft 0.2."""


def of(loaded: Loaded, folder: Path, settings: Mapping[str, object]) -> Iterator[str]:
    """The lines; none for an adapter that was made by the peft of today for this base and its tokenizer."""
    known = {field.name for field in dataclasses.fields(peft.LoraConfig)} | READ_ELSEWHERE
    unknown = [
        f"{name}={value!r}"[:60] for name, value in settings.items() if name not in known and value not in NOTHING
    ]
    if unknown:
        yield (
            f"the adapter {folder} has settings that peft {peft.__version__} does not know and leaves out "
            f"({', '.join(sorted(unknown)[:5])}): where they change what it computes, this is not what its maker had"
        )
    if settings.get("task_type") not in (None, "CAUSAL_LM"):
        yield (
            f"the adapter {folder} was made for {settings['task_type']}, and is asked as a language model: what else "
            "its maker put on the base is not here"
        )
    if settings.get("init_lora_weights") == "lora_ga":
        yield (
            f"the adapter {folder} was trained on a base that LoRA-GA had rewritten, and it does not hold how: on "
            f"{loaded.name} it is what peft makes of it, not what was trained"
        )
    own = list(_of_its_tokenizer(loaded, folder))
    if own:
        yield (
            f"the adapter {folder} has a tokenizer of its own: {'; '.join(own)}. Prompts are written by that of "
            f"{loaded.name}; for its own give a folder of the base with the adapter's tokenizer files"
        )


def _of_its_tokenizer(loaded: Loaded, folder: Path) -> Iterator[str]:
    """In what the tokenizer files beside the adapter differ from the model's."""
    config = _table(folder / "tokenizer_config.json")
    template = _template(folder, config)
    if template is not None:
        given = loaded.tokenizer.chat_template
        ours = given.get("default") if isinstance(given, dict) else given
        if ours is None:
            yield "it has a chat template, the model has none"
        elif str(ours).strip() != template.strip():
            yield "its chat template is another one"
    added = _added_tokens(folder, config)
    if added:
        vocabulary = loaded.tokenizer.get_vocab()
        other = sorted(text for text, id_ in added.items() if vocabulary.get(text) != id_)
        if other:
            yield f"{len(other)} of its added tokens are not the model's, for example {other[0]!r}"


def _template(folder: Path, config: Mapping[str, object]) -> str | None:
    """The chat template beside the adapter, as transformers finds it: a file of its own, or in the config."""
    file = folder / "chat_template.jinja"
    try:
        template: object = file.read_text(encoding="utf-8") if file.is_file() else config.get("chat_template")
    except (OSError, ValueError):
        return None
    if isinstance(template, list):  # several, by name
        named = {one.get("name"): one.get("template") for one in template if isinstance(one, dict)}
        template = named.get("default")
    return template if isinstance(template, str) and template else None


def _added_tokens(folder: Path, config: Mapping[str, object]) -> dict[str, int]:
    """Text -> id of the special and added tokens, from whichever file lists them."""
    listed = _table(folder / "tokenizer.json").get("added_tokens")
    decoder = config.get("added_tokens_decoder")
    added = {text: id_ for text, id_ in _table(folder / "added_tokens.json").items() if isinstance(id_, int)}
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and isinstance(one.get("content"), str) and isinstance(one.get("id"), int):
            added[one["content"]] = one["id"]
    for id_, one in decoder.items() if isinstance(decoder, dict) else ():
        if isinstance(one, dict) and isinstance(one.get("content"), str) and id_.isdecimal():
            added[one["content"]] = int(id_)
    return added


def _table(file: Path) -> dict[str, object]:
    """A JSON file's table; empty where there is none that can be read: the tokenizer is not used."""
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}
