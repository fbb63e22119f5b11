"""Settings as a person types them: those that differ from their defaults, and a whole command."""

import json
import shlex
from collections.abc import Collection, Mapping, Sequence

from pydantic import BaseModel

from knowpack.settings.sections import KIND


def differing(section: BaseModel, leave: Collection[str] = (), parent: str = "") -> list[str]:
    """The settings that are not as their section has them by default, as `key=value`; without those in `leave`."""
    options: list[str] = []
    for name, field in type(section).model_fields.items():
        value, key = getattr(section, name), f"{parent}{name}"
        default = field.get_default(call_default_factory=True)
        if key in leave:
            continue
        if isinstance(value, BaseModel):
            if KIND in type(value).model_fields and type(value) is not type(default):
                options.append(f"{key}.{KIND}={getattr(value, KIND)}")
            options += differing(value, leave, f"{key}.")
        elif value != default:
            plain = list(value) if isinstance(value, tuple) else value
            options.append(f"{key}={plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)}")
    return options


def typed(command: str, options: Mapping[str, object], settings: Sequence[str], more: Sequence[str] = ()) -> str:
    """A command as one types it: options that are None are left out, settings become --set."""
    parts = [*command.split(), *more]
    for name, value in options.items():
        parts += [] if value is None else [f"--{name}", str(value)]
    for setting in settings:
        parts += ["--set", setting]
    return shlex.join(parts)
