"""A section: a frozen group of settings, of which one field may be one of several kinds.

The shape of the settings alone: which names stand where. Nothing here knows what they mean.
"""

from collections.abc import Mapping, Sequence
from typing import get_args

from pydantic import BaseModel, ConfigDict

KIND = "recipe"
"""The key that chooses the kind of its section, where a section has several (train: plain or keep)."""


class Section(BaseModel):
    """A frozen group of settings; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def spelled_out(cls, settings: Mapping[str, object]) -> dict[str, object]:
        """Dotted settings, those that stand for others written out; a plain section has none."""
        return dict(settings)


def annotation_of(section: object, parents: Sequence[str]) -> object:
    """The type of a section inside a section; None where there is none."""
    annotation = section
    for parent in parents:
        fields = annotation.model_fields if isinstance(annotation, type) and issubclass(annotation, BaseModel) else {}
        annotation = fields[parent].annotation if parent in fields else None
    return annotation


def is_section(annotation: object) -> bool:
    """Whether keys may stand below it; True for what does not exist, which is said later."""
    single = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation is None or single or bool(kinds(annotation)) or any(map(is_section, get_args(annotation)))


def kinds(annotation: object) -> dict[str, type[BaseModel]]:
    """Name -> section, of a section of several kinds."""
    result: dict[str, type[BaseModel]] = {}
    for member in get_args(annotation):
        kind = get_args(member)[0] if get_args(member) else member
        if isinstance(kind, type) and issubclass(kind, BaseModel) and KIND in kind.model_fields:
            result[str(kind.model_fields[KIND].default)] = kind
    return result
