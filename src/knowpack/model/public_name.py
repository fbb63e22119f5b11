"""What a model is called where others read it: its name on the hub, where it has one; never a path of this machine.

name as it was given -> hub name, name without folders, licence. Nothing is asked of a network.
"""

import json
import re
import shlex
from pathlib import Path, PureWindowsPath

from knowpack.config import SERVED
from knowpack.model import gguf_files
from knowpack.model.hub_names import SHAPE

CACHED = re.compile(r"models--(?P<owner>[^/\\]+?)--(?P<model>[^/\\]+)")  # a folder of the hub's own cache
ROOTED = re.compile(r"(?<![\w.:/~])(?:~?/|[A-Za-z]:\\)(?:[^\s/\\'\"]+[/\\])*([^\s/\\'\"]*)")


def hub_id(name: str) -> str | None:
    """The hub's name of a model; None where it is not known to be there.

    A hub name is itself; a file on the hub (owner/model:file.gguf) is its model; a packaged model is named in PACKAGED;
    a folder is what its config says that it was loaded from, or what the hub's cache keeps it as.
    """
    if name in gguf_files.PACKAGED and not Path(name).exists():
        return gguf_files.PACKAGED[name].hub
    if name == "lab" or name.startswith(SERVED):
        return None
    path = Path(name)
    if not path.exists():
        repo, colon, file = name.partition(":")
        plain = repo if colon and file.lower().endswith(".gguf") else name
        return plain if _is_id(plain) else None
    if (cached := CACHED.search(str(path.absolute()))) is not None:
        return f"{cached['owner']}/{cached['model']}"
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    name_or_path = config.get("_name_or_path") if isinstance(config, dict) else None
    known = (
        isinstance(name_or_path, str)
        and name_or_path.count("/") == 1
        and _is_id(name_or_path)
        and not Path(name_or_path).exists()
    )
    return str(name_or_path) if known else None


def public(name: str) -> str:
    """The hub's name, else the name of the folder or file alone; as peft writes it into an adapter's config."""
    if name.startswith(SERVED):
        return name.partition("#")[2]
    hub_name = hub_id(name)
    if hub_name is not None or not name or (name == "lab" and not Path(name).exists()):
        return hub_name or name
    from knowpack.lab import files

    if Path(name).absolute() == files.model_dir().absolute():
        return "lab"
    last = PureWindowsPath(name).name if "\\" in name else Path(name).name
    return last if last not in ("", ".", "..") else Path(name).absolute().resolve().name


def licence(name: str) -> str | None:
    """The licence that the base is under, by the hub's short name; None where nothing on this machine says it."""
    if name in gguf_files.PACKAGED and not Path(name).exists():
        return gguf_files.PACKAGED[name].licence.lower()
    card = _card(name)
    if card is None:
        return None
    from huggingface_hub import metadata_load

    try:
        data = metadata_load(card)
    except Exception:  # any YAML stands there; a card is no reason to stop
        return None
    value = data.get("license") if isinstance(data, dict) else None
    return value if isinstance(value, str) and value.isprintable() else None


def command(text: str) -> str:
    """A command without this machine's folders: of a path from the root only the last name stays."""
    try:
        return shlex.join(without_paths(part, whole=True) for part in shlex.split(text))
    except ValueError:
        return without_paths(text)


def without_paths(text: str, *, whole: bool = False) -> str:
    """A text in which of each path from the root only the last name stays. whole: it is one word, blanks and all."""
    if whole:
        before, sign, path = text.rpartition("=")
        return before + sign + (public(path) if _is_rooted(path) else path)
    return ROOTED.sub(lambda match: match[1], text)


def _is_rooted(text: str) -> bool:
    return text.startswith(("/", "~")) or PureWindowsPath(text).is_absolute()


def _is_id(name: str) -> bool:
    return SHAPE.fullmatch(name) is not None and not name.startswith(".")


def _card(name: str) -> Path | None:
    """The README.md of a model on this machine: in its folder, or in the hub's cache."""
    if name == "lab":
        from knowpack.lab import files

        return files.model_dir().parent / "README.md"
    path = Path(name)
    if path.exists():
        return path / "README.md" if (path / "README.md").is_file() else None
    from huggingface_hub import try_to_load_from_cache

    hub_name = hub_id(name)
    cached = None if hub_name is None else try_to_load_from_cache(hub_name, "README.md")
    return Path(cached) if isinstance(cached, str) else None
