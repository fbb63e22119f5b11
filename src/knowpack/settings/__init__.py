"""How settings are read: one YAML file, dotted overrides, unknown keys refused in one line.

YAML or a section + `key=value` -> a section of config/, checked. Nothing here knows what the settings mean.
"""

from knowpack.settings.changing import changed, load, override
from knowpack.settings.checked import in_words, of_section
from knowpack.settings.safe_yaml import read_yaml
from knowpack.settings.sections import KIND, Section
from knowpack.settings.typed import differing, typed

__all__ = [
    "KIND",
    "Section",
    "changed",
    "differing",
    "in_words",
    "load",
    "of_section",
    "override",
    "read_yaml",
    "typed",
]
