"""How settings are read: one YAML file, dotted overrides, unknown keys refused in one line.

YAML or a section + `key=value` -> a section of config.py, checked. Nothing here knows what the settings mean.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from knowpack.errors import ConfigError


class Section(BaseModel):
    """A frozen group of settings; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


S = TypeVar("S", bound=Section)


def load(path: Path, section: type[S], overrides: Sequence[str] = ()) -> S:
    """YAML file -> section, dotted `key=value` overrides applied. Raises ConfigError in one line."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the config {path}: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds {type(data).__name__}, expected settings as `key: value`")
    return _build(section, _with(data, _parsed(overrides)), str(path))


def override(config: S, overrides: Sequence[str]) -> S:
    """The same section with dotted `key=value` settings changed; values are read as YAML."""
    return changed(config, _parsed(overrides))


def changed(config: S, settings: Mapping[str, object]) -> S:
    """The same section with dotted settings changed."""
    return _build(type(config), _with(config.model_dump(mode="json"), settings), "the settings")


def _parsed(overrides: Sequence[str]) -> dict[str, object]:
    parsed: dict[str, object] = {}
    for setting in overrides:
        key, sign, text = setting.partition("=")
        if not sign:
            raise ConfigError(f"got {setting!r}, expected key=value, for example train.lr=1e-3")
        parsed[key.strip()] = _scalar(text)
    return parsed


def _with(data: dict[str, Any], settings: Mapping[str, object]) -> dict[str, Any]:
    data = yaml.safe_load(yaml.safe_dump(data))  # a deep copy: the caller's stays as it was
    for key, value in settings.items():
        node = data
        *parents, last = key.split(".")
        for parent in parents:
            node[parent] = {} if node.get(parent) is None else node[parent]
            if not isinstance(node[parent], dict):
                raise ConfigError(f"{key}: {parent} is no section")
            node = node[parent]
        node[last] = value
    return data


def _scalar(text: str) -> object:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if isinstance(value, str):  # YAML 1.1 reads 1e-3 as text
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _build(section: type[S], data: dict[str, Any], where: str) -> S:
    try:
        return section.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{where}: unknown key {key!r}; known: {_known(section, first['loc'])}") from None
        raise ConfigError(f"{where}: {key}: {first['msg']}, got {first['input']!r}"[:500]) from None


def _known(section: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """The keys that stand where the unknown one was given."""
    for part in loc[:-1]:
        field = section.model_fields.get(str(part))
        kind = field.annotation if field else None
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            break
        section = kind
    return ", ".join(sorted(section.model_fields))
