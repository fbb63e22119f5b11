"""An adapter to the hub: what is sent, made fit for others to read, and the one commit that sends it.

adapter folder -> list of Sent -> a repository on the hub. Sent are the weights, peft's settings, the card, the training
log, which base it was trained on, and benchmark scores as the hub reads them. Not sent: the facts, unless they are
asked for; checkpoints, trackers' files; any path of this machine.
"""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import polars as pl

from knowpack import store
from knowpack.errors import ConfigError, ModelError, one_line
from knowpack.export.hub_scores import results
from knowpack.model import public_name
from knowpack.model.adapter import read_adapter
from knowpack.model.locations import CONFIG, MADE_ON, WEIGHTS, adapter_folder
from knowpack.records import Example, Kind

if TYPE_CHECKING:
    from huggingface_hub import HfApi, ModelCardData

CARD, LOG, EXAMPLES, FACTS = "README.md", "train_log.jsonl", "examples.parquet", "facts.parquet"


class Sent(NamedTuple):
    """One file of the repository."""

    path: str
    """In the repository."""
    content: Path | bytes
    why: str
    """What was changed on the way; "" = it is sent as it is."""

    @property
    def n_bytes(self) -> int:
        """Its size."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


def files(adapter: Path, *, facts: bool = False) -> list[Sent]:
    """What a push sends, in the repository's order. Raises ModelError for what is no adapter, ConfigError for no facts.

    facts: also the facts that were packed (question, answer), which anybody who can read the repository then reads.
    """
    if not adapter.is_dir():
        raise ModelError(f"no adapter folder {adapter}; a push sends a folder of this machine")
    folder = read_adapter(adapter_folder(str(adapter))).folder
    candidates = [
        Sent(WEIGHTS, folder / WEIGHTS, ""),
        _text(folder / CONFIG, lambda text: _config(text, folder)),
        _text(folder / MADE_ON, _made_on),
        _text(folder / CARD, lambda text: _card(text, _base(folder))),
        _text(folder / LOG, lambda text: text),
    ]
    beside = folder.absolute().parent
    sent = [one for one in candidates if one is not None]
    sent += [Sent(path, text.encode(), "scores as the hub reads them") for path, text in results(beside).items()]
    if facts:
        sent.append(_facts(beside / EXAMPLES))
    return sorted(sent, key=lambda one: one.path)


def push(sent: list[Sent], repo: str, *, private: bool = False, api: "HfApi | None" = None) -> str:
    """Make the repository where it is not there, and send all in one commit; the address of the model's page.

    Raises ModelError in one line: no token, no right, no network.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    hub = api or HfApi()
    operations = [
        CommitOperationAdd(one.path, BytesIO(one.content) if isinstance(one.content, bytes) else str(one.content))
        for one in sent
    ]
    try:
        hub.create_repo(repo, private=private, exist_ok=True, repo_type="model")
        done = hub.create_commit(
            repo, operations=operations, commit_message="A LoRA adapter of knowpack", repo_type="model"
        )
    except LocalTokenNotFoundError:
        raise ModelError(
            "the hub asks who you are: `hf auth login`, or set HF_TOKEN to a token that may write"
        ) from None
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        may = "; is there a token that may write there (`hf auth login`)?" if status in (401, 403) else ""
        raise ModelError(f"the hub refused {repo}: {one_line(error)}{may}") from None
    except Exception as error:  # httpx's or httpx2's, by the version of huggingface_hub
        if not isinstance(error, OSError | ValueError) and not type(error).__module__.startswith("httpx"):
            raise
        raise ModelError(f"{repo} was not sent: {one_line(error)}; the same command sends it again") from None
    return str(done.repo_url)


def checked(repo: str) -> str:
    """A repository's name, owner/name. Raises ConfigError in one line."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # documented, and not re-exported

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise ConfigError(f"got {repo!r}, expected owner/name: {one_line(error)}") from None
    if repo.count("/") != 1:
        raise ConfigError(f"got {repo!r}, expected owner/name")
    return repo


def _text(path: Path, change: Callable[[str], str]) -> Sent | None:
    """A text file without paths of this machine; None where it is not there."""
    if not path.is_file():
        return None
    try:
        before = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} cannot be read: {one_line(error)}") from None
    after = change(before)
    if after == before:
        return Sent(path.name, path, "")
    return Sent(path.name, after.encode(), "without paths of this machine" if path.name != CARD else "made fit to send")


def _base(folder: Path) -> str | None:
    """The base as it was named in training: by knowpack, else by peft."""
    try:
        made_on = json.loads((folder / MADE_ON).read_text(encoding="utf-8"))
        return str(made_on["base"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return read_adapter(folder).base_name


def _config(text: str, folder: Path) -> str:
    config, base = json.loads(text), _base(folder)
    plain = _plain(config)
    assert isinstance(plain, dict), "read_adapter has read it"
    if base is not None:
        plain["base_model_name_or_path"] = public_name.public(base)
    return text if plain == config else json.dumps(plain, indent=2, sort_keys=True)


def _made_on(text: str) -> str:
    made_on = json.loads(text)
    plain = _plain(made_on)
    if isinstance(plain, dict) and isinstance(made_on, dict) and isinstance(made_on.get("base"), str):
        plain["base"] = public_name.public(made_on["base"])
    return text if plain == made_on else json.dumps(plain, indent=1, sort_keys=True) + "\n"


def _plain(value: object) -> object:
    """JSON in which every text that is a path from the root keeps its last name only."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return public_name.without_paths(value, whole=True) if isinstance(value, str) else value


def _card(text: str, base: str | None) -> str:
    """The card, its base the hub's name or none (peft's own names the folder), no path in it."""
    from huggingface_hub import ModelCard

    hub = None if base is None else public_name.hub_id(base)
    try:
        card = ModelCard(text, ignore_metadata_errors=True)
    except ValueError as error:
        raise ModelError(f"the card ({CARD}) cannot be read: {one_line(error)}") from None
    data = cast("ModelCardData", card.data)
    tags = [tag for tag in data.tags or [] if not tag.startswith("base_model:")]
    expected = [*tags, *([f"base_model:adapter:{hub}"] if hub else [])]
    if data.base_model != hub or sorted(data.tags or []) != sorted(expected):
        data.base_model, data.tags = hub, expected or None
        text = str(card)
    return public_name.without_paths(text)


def _facts(examples: Path) -> Sent:
    if not examples.is_file():
        raise ConfigError(f"there is no {examples}: the facts that were packed are not beside the adapter")
    examples_sent = store.read_table(examples, Example).filter(pl.col("kind") != str(Kind.REPLAY))
    buffer = BytesIO()
    examples_sent.select("question", "answer").unique(maintain_order=True).write_parquet(buffer)
    return Sent(FACTS, buffer.getvalue(), f"{examples_sent['fact_id'].n_unique()} packed facts, as you asked")
