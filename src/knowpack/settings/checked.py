"""Values checked against their section; what is wrong with them, in one line and in plain words."""

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from knowpack.errors import ConfigError
from knowpack.settings.sections import KIND, Section, annotation_of, kinds

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

S = TypeVar("S", bound=Section)


def build(section: type[S], data: dict[str, Any], where: str) -> S:
    """Plain values -> the section. where: what is named as their place. Raises ConfigError in one line."""
    try:
        return section.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = _place(section, first["loc"])
        key = ".".join(place.keys)
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(place.section.model_fields))
            kind = f" ({'.'.join([*place.keys[:-1], KIND])}={place.kind})" if place.kind else ""
            meant = _meant(section, key)
            raise ConfigError(f"{where}: unknown key {key!r}{kind}; known: {known}{meant}") from None
        raise ConfigError(": ".join(filter(None, (where, key, in_words(error))))[:500]) from None


def of_section(error: ValueError) -> str | None:
    """What is wrong with a section that was made of a command's options, in one line; None for any other error."""
    known = {one.__name__ for one in _subsections(Section)}
    if not isinstance(error, ValidationError) or error.title not in known:
        return None
    return ": ".join(filter(None, (".".join(map(str, error.errors()[0]["loc"])), in_words(error))))


def in_words(error: ValidationError) -> str:
    """What was expected and what was got, without pydantic's words."""
    first = error.errors()[0]
    got, expected = "nothing" if first["input"] is None else repr(first["input"]), _expected(first)
    several = first["type"] == "value_error" and isinstance(first["input"], BaseModel | dict)  # of a whole section
    return (expected if several or got in expected else f"{expected}, got {got}")[:500]


def _meant(section: type[BaseModel], key: str) -> str:
    """The key that was meant, where one is near: a slip in its name, or the name without its section."""
    known = list(dict.fromkeys(_dotted(section)))
    last = key.rpartition(".")[2]
    near = [one for one in known if one.rpartition(".")[2] == last] or difflib.get_close_matches(key, known, 1, 0.8)
    return f"; did you mean {' or '.join(near)}?" if 0 < len(near) < 4 else ""


def _dotted(section: type[BaseModel], before: str = "") -> Iterator[str]:
    for name in section.model_fields:
        annotation = annotation_of(section, [name])
        inside = list(dict.fromkeys([annotation, *kinds(annotation).values()]))
        sections = [one for one in inside if isinstance(one, type) and issubclass(one, BaseModel)]
        if not sections:
            yield f"{before}{name}"
        for one in sections:
            yield from _dotted(one, f"{before}{name}.")


def _subsections(section: type[Section]) -> Iterator[type[Section]]:
    for one in section.__subclasses__():
        yield one
        yield from _subsections(one)


WORDS = {
    "int": "expected a whole number",
    "float": "expected a number",
    "bool": "expected true or false",
    "string": "expected a text",
    "tuple": "expected a list",
    "list": "expected a list",
    "dict": "expected settings as `key: value`",
    "model": "expected settings as `key: value`",
    "missing": "is missing",
    "finite": "expected a finite number",
}
"""pydantic's kinds of error, up to their first underscore -> what a person reads."""
BOUNDS = {"greater_than_equal": ("at least", "ge"), "greater_than": ("more than", "gt")}
BOUNDS |= {"less_than_equal": ("at most", "le"), "less_than": ("less than", "lt")}


def _expected(error: "ErrorDetails") -> str:
    """What was expected, in our words; pydantic's own where it says what ours do not."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in BOUNDS:
        word, limit = BOUNDS[kind]
        return f"expected {word} {context[limit]:g}"
    if kind in ("literal_error", "enum"):
        return f"expected {context['expected']}"
    if kind.startswith("union_tag"):
        return f"expected one of {context.get('expected_tags', 'its kinds')}"
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ").rstrip(".")
    return WORDS.get(kind.partition("_")[0], error["msg"])


class _Place(NamedTuple):
    """Where in the settings an error is."""

    keys: list[str]
    section: type[BaseModel]
    """Whose keys are expected there."""
    kind: str | None
    """Its kind, where it is one of several."""


def _place(section: type[BaseModel], loc: tuple[int | str, ...]) -> _Place:
    """pydantic names the kind inside the path (train, keep, epochs); a person never wrote it."""
    keys: list[str] = []
    kind: str | None = None
    annotation: object = section
    for part in loc:
        several = kinds(annotation)
        if str(part) in several:
            kind, annotation = str(part), several[str(part)]
        else:
            keys.append(str(part))
            annotation = annotation_of(annotation, [str(part)])
            if len(only := list(kinds(annotation).values())) == 1:  # pack's train: one kind, or none
                annotation = only[0]
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            section = annotation
    return _Place(keys, section, kind)
