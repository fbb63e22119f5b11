"""Whole groups of settings by name: what the paper's text says, and what its authors' code does.

`preset: paper` in a run's or study's YAML, or preset=paper among the settings -> the settings of paper.yaml, beneath
those that stand beside it. Each file cites its source line by line (Pletenev et al. 2025, arXiv 2502.14502v3).
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import yaml

from knowpack.errors import ConfigError

NAMES = ("paper", "authors")


class Preset(NamedTuple):
    """The settings of one name."""

    seeds: tuple[int, ...]
    """Of a study."""
    run: Mapping[str, object]
    """Of every run: sections and their settings."""


@cache
def preset(name: str) -> Preset:
    """Raises ConfigError for a name that there is not."""
    if name not in NAMES:
        raise ConfigError(f"there is no preset {name!r}; known: {', '.join(NAMES)}")
    data = yaml.safe_load((files(__package__) / f"{name}.yaml").read_text(encoding="utf-8"))
    return Preset(tuple(data["seeds"]), data["run"])


def dotted(name: str, before: str = "") -> dict[str, object]:
    """The run's settings as dotted keys, `before` set in front of each: {"train.lr": 0.001, ...}."""
    settings: dict[str, object] = {f"{before}preset": name}
    for section, value in preset(name).run.items():
        if isinstance(value, Mapping):
            settings |= {f"{before}{section}.{key}": setting for key, setting in value.items()}
        else:
            settings[f"{before}{section}"] = value
    return settings


def beneath(data: Mapping[str, object]) -> dict[str, object]:
    """A run's settings with those of its preset where it has none of its own."""
    name = data.get("preset")
    merged = dict(data)
    for section, value in preset(str(name)).run.items() if name is not None else ():
        own = data.get(section)
        if isinstance(value, Mapping) and isinstance(own, Mapping):
            merged[section] = {**value, **own}
        else:
            merged.setdefault(section, value)
    return merged
