"""Settings read and changed: one YAML file, dotted `key=value` overrides.

YAML or a section + overrides -> a section, checked.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from knowpack.errors import ConfigError
from knowpack.settings.checked import build
from knowpack.settings.safe_yaml import read_scalar, read_yaml
from knowpack.settings.sections import KIND, Section, annotation_of, is_section, kinds

S = TypeVar("S", bound=Section)


def load(path: Path, section: type[S], overrides: Sequence[str] = ()) -> S:
    """YAML file -> section, dotted `key=value` overrides applied. Raises ConfigError in one line."""
    try:
        data = read_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no config {path}; expected a YAML file of settings") from None
    except IsADirectoryError:
        raise ConfigError(f"the config {path} is a folder; expected a YAML file of settings") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the config {path}: {error}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not YAML that can be used: {error}") from None
    if not isinstance(data, dict):
        content = {list: "a list", str: "a text", type(None): "nothing"}.get(type(data), "one value")
        raise ConfigError(f"{path} holds {content}, expected settings as `key: value`")
    return build(section, _with(section, data, section.spelled_out(_parsed(overrides))), str(path))


def override(config: S, overrides: Sequence[str]) -> S:
    """The same section with dotted `key=value` settings changed; values are read as YAML."""
    return changed(config, _parsed(overrides))


def changed(config: S, settings: Mapping[str, object]) -> S:
    """The same section with dotted settings changed."""
    return build(type(config), _with(type(config), _given(config), config.spelled_out(settings)), "the settings")


def _given(section: BaseModel) -> dict[str, Any]:
    """The settings that were given, and the kinds; what was left to its default may have another in another kind."""
    plain = section.model_dump(mode="json")
    values = {name: getattr(section, name) for name in type(section).model_fields}
    names = section.model_fields_set | {KIND}
    return {
        name: _given(value) if isinstance(value, BaseModel) else plain[name]
        for name, value in values.items()
        if name in names or isinstance(value, BaseModel)
    }


def _parsed(overrides: Sequence[str]) -> dict[str, object]:
    parsed: dict[str, object] = {}
    for setting in overrides:
        key, sign, text = setting.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"got {setting!r}, expected key=value, for example train.lr=1e-3")
        parsed[key.strip()] = read_scalar(text)
    return parsed


def _with(section: type[BaseModel], data: dict[str, Any], settings: Mapping[str, object]) -> dict[str, Any]:
    data = deepcopy(data)  # the caller's stays as it was
    kinds_first = sorted(settings.items(), key=lambda item: item[0].rpartition(".")[2] != KIND)
    for key, value in kinds_first:
        node = data
        *parents, last = key.split(".")
        for depth, parent in enumerate(parents):
            node[parent] = {} if node.get(parent) is None else node[parent]
            if not isinstance(node[parent], dict) or not is_section(annotation_of(section, parents[: depth + 1])):
                raise ConfigError(f"{key}: {parent} is one setting, with none below it")
            node = node[parent]
        if last == KIND and value != node.get(KIND):
            _leave_kind(node, kinds(annotation_of(section, parents)).get(str(value)))
        node[last] = value
    return data


def _leave_kind(node: dict[str, Any], kind: type[BaseModel] | None) -> None:
    """Another kind is chosen: the settings that it does not have fall away, but not those given with the choice."""
    for name in [name for name in node if kind is not None and name not in kind.model_fields]:
        del node[name]
