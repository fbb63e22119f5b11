"""A model's hub name, looked at before anything waits for it: a typo costs seconds, also without a network.

name -> the same name, or a ModelError in one line. transformers asks for file after file and tries each again for
minutes where no hub answers; this asks once.
"""

import difflib
import os
import re
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from knowpack.errors import ModelError

PATIENCE_SECONDS = 5.0
SHAPE = re.compile(r"[\w.-]+(/[\w.-]+)?")


def checked(name: str, known: Sequence[str], revision: str | None = None) -> str:
    """A name that the hub's cache holds, or that can be asked for now. known: names that need no hub."""
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
    meant = f"; did you mean {near[0]}?" if near else ""
    expected = f"expected a folder, a GGUF file, a hub name (owner/model) or {', '.join(known)}{meant}"
    if not SHAPE.fullmatch(name):
        raise ModelError(f"{name!r} is no model: {expected}")
    if _is_kept(name, revision):
        return name
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        raise ModelError(f"{name} is no folder here and not in the hub's cache, and HF_HUB_OFFLINE is set; {expected}")
    host = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    if not _answers(host.hostname or "huggingface.co", host.port or (80 if host.scheme == "http" else 443)):
        raise ModelError(
            f"{name} is no folder here and not in the hub's cache, and {host.hostname} cannot be reached; {expected}"
        )
    return name


def _is_kept(name: str, revision: str | None) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str)


def _answers(host: str, port: int) -> bool:
    """Whether a connection can be made; through a proxy that is the proxy's to know."""
    if any(os.environ.get(key) for key in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    try:
        socket.create_connection((host, port), timeout=PATIENCE_SECONDS).close()
    except OSError:
        return False
    return True
