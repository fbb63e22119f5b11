"""How settings are read: one YAML file, dotted overrides, unknown keys refused in one line.

YAML or a section + `key=value` -> a section of config.py, checked. Nothing here knows what the settings mean.
"""

import json
import re
import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from knowpack.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Section(BaseModel):
    """A frozen group of settings; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def spelled_out(cls, settings: Mapping[str, object]) -> dict[str, object]:
        """Dotted settings, those that stand for others written out; a plain section has none."""
        return dict(settings)


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _n_nodes(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for, those behind aliases counted each time. Raises ValueError at a circle or at
    a key that stands twice (YAML lets the last one win, without a word)."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if (found := known.get(id(node))) is not None:
        if found == 0:
            raise ValueError("an alias that holds itself")
        return found
    known[id(node)] = 0
    below = node.value
    if isinstance(node, yaml.MappingNode):
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        twice = [key for key, n in keys.items() if n > 1 and key != "<<"]
        if twice:
            raise ValueError(f"the key {twice[0]!r} stands twice (line {node.start_mark.line + 1} and below)")
        below = [part for pair in node.value for part in pair]
    known[id(node)] = 1 + sum(_n_nodes(one, known) for one in below)
    return known[id(node)]


S = TypeVar("S", bound=Section)
MOST_NODES = 100_000
"""Values in a file of settings or wordings; the largest of ours has some 3,000."""
_EXPONENT = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+")
KIND = "recipe"
"""The key that chooses the kind of its section, where a section has several (train: plain or keep)."""


def load(path: Path, section: type[S], overrides: Sequence[str] = ()) -> S:
    """YAML file -> section, dotted `key=value` overrides applied. Raises ConfigError in one line."""
    try:
        data = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the config {path}: {error}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not YAML that can be used: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds {type(data).__name__}, expected settings as `key: value`")
    return _build(section, _with(section, data, section.spelled_out(_parsed(overrides))), str(path))


def read_yaml(text: str) -> object:
    """Safe YAML -> plain values. Raises ValueError in one line: no YAML, a key twice, aliases that multiply or turn in
    circles, nested too deep, a number of thousands of digits."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _n_nodes(node, {}) > MOST_NODES:
            raise ValueError(f"over {MOST_NODES:,} values, aliases written out")
        value: object = loader.construct_document(node)
        return value
    except RecursionError:
        raise ValueError("nested too deep") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())[:300]) from None
    finally:
        loader.dispose()


def of_section(error: ValueError) -> str | None:
    """What is wrong with a section that was made of a command's options, in one line; None for any other error."""
    known = {one.__name__ for one in _subsections(Section)}
    if not isinstance(error, ValidationError) or error.title not in known:
        return None
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}, got {first['input']!r}"[:500]


def _subsections(section: type[Section]) -> Iterator[type[Section]]:
    for one in section.__subclasses__():
        yield one
        yield from _subsections(one)


def override(config: S, overrides: Sequence[str]) -> S:
    """The same section with dotted `key=value` settings changed; values are read as YAML."""
    return changed(config, _parsed(overrides))


def changed(config: S, settings: Mapping[str, object]) -> S:
    """The same section with dotted settings changed."""
    return _build(type(config), _with(type(config), _given(config), config.spelled_out(settings)), "the settings")


def _given(section: BaseModel) -> dict[str, Any]:
    """The settings that were given, and the kinds; what was left to its default may have another in another kind."""
    plain = section.model_dump(mode="json")
    values = {name: getattr(section, name) for name in type(section).model_fields}
    given = section.model_fields_set | {KIND}
    return {
        name: _given(value) if isinstance(value, BaseModel) else plain[name]
        for name, value in values.items()
        if name in given or isinstance(value, BaseModel)
    }


def _parsed(overrides: Sequence[str]) -> dict[str, object]:
    parsed: dict[str, object] = {}
    for setting in overrides:
        key, sign, text = setting.partition("=")
        if not sign:
            raise ConfigError(f"got {setting!r}, expected key=value, for example train.lr=1e-3")
        parsed[key.strip()] = _scalar(text)
    return parsed


def _with(section: type[BaseModel], data: dict[str, Any], settings: Mapping[str, object]) -> dict[str, Any]:
    data = deepcopy(data)  # the caller's stays as it was
    kinds_first = sorted(settings.items(), key=lambda item: item[0].rpartition(".")[2] != KIND)
    for key, value in kinds_first:
        node = data
        *parents, last = key.split(".")
        for depth, parent in enumerate(parents):
            node[parent] = {} if node.get(parent) is None else node[parent]
            if not isinstance(node[parent], dict) or not _is_section(_annotation(section, parents[: depth + 1])):
                raise ConfigError(f"{key}: {parent} is no section")
            node = node[parent]
        if last == KIND and value != node.get(KIND):
            _leave_kind(node, _kinds(_annotation(section, parents)).get(str(value)))
        node[last] = value
    return data


def _leave_kind(node: dict[str, Any], kind: type[BaseModel] | None) -> None:
    """Another kind is chosen: the settings that it does not have fall away, but not those given with the choice."""
    for name in [name for name in node if kind is not None and name not in kind.model_fields]:
        del node[name]


def _annotation(section: object, parents: Sequence[str]) -> object:
    """The type of a section inside a section; None where there is none."""
    found = section
    for parent in parents:
        fields = found.model_fields if isinstance(found, type) and issubclass(found, BaseModel) else {}
        found = fields[parent].annotation if parent in fields else None
    return found


def _is_section(annotation: object) -> bool:
    """Whether keys may stand below it; True for what does not exist, which is said later."""
    single = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation is None or single or bool(_kinds(annotation)) or any(map(_is_section, get_args(annotation)))


def _kinds(annotation: object) -> dict[str, type[BaseModel]]:
    """Name -> section, of a section of several kinds."""
    found: dict[str, type[BaseModel]] = {}
    for member in get_args(annotation):
        kind = get_args(member)[0] if get_args(member) else member
        if isinstance(kind, type) and issubclass(kind, BaseModel) and KIND in kind.model_fields:
            found[str(kind.model_fields[KIND].default)] = kind
    return found


def _scalar(text: str) -> object:
    try:
        value = read_yaml(text)
    except ValueError:
        return text
    if isinstance(value, str) and _EXPONENT.fullmatch(value):  # YAML 1.1 reads 1e-3 as text
        return float(value)
    return value


def _build(section: type[S], data: dict[str, Any], where: str) -> S:
    try:
        return section.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = _place(section, first["loc"])
        key = ".".join(place.keys)
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(place.section.model_fields))
            kind = f" ({'.'.join([*place.keys[:-1], KIND])}={place.kind})" if place.kind else ""
            raise ConfigError(f"{where}: unknown key {key!r}{kind}; known: {known}") from None
        raise ConfigError(f"{where}: {key}: {_expected(first)}, got {first['input']!r}"[:500]) from None


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
    kind, given = error["type"], error.get("ctx", {})
    if kind in BOUNDS:
        word, limit = BOUNDS[kind]
        return f"expected {word} {given[limit]:g}"
    if kind in ("literal_error", "enum"):
        return f"expected {given['expected']}"
    if kind.startswith("union_tag"):
        return f"expected one of {given.get('expected_tags', 'its kinds')}"
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    return WORDS.get(kind.partition("_")[0], error["msg"])


def differing(section: BaseModel, leave: Collection[str] = (), parent: str = "") -> list[str]:
    """The settings that are not as their section has them by default, as `key=value`; without those in `leave`."""
    found: list[str] = []
    for name, field in type(section).model_fields.items():
        value, key = getattr(section, name), f"{parent}{name}"
        default = field.get_default(call_default_factory=True)
        if key in leave:
            continue
        if isinstance(value, BaseModel):
            if KIND in type(value).model_fields and type(value) is not type(default):
                found.append(f"{key}.{KIND}={getattr(value, KIND)}")
            found += differing(value, leave, f"{key}.")
        elif value != default:
            plain = list(value) if isinstance(value, tuple) else value
            found.append(f"{key}={plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)}")
    return found


def typed(command: str, options: Mapping[str, object], settings: Sequence[str], more: Sequence[str] = ()) -> str:
    """A command as one types it: options that are None are left out, settings become --set."""
    parts = [*command.split(), *more]
    for name, value in options.items():
        parts += [] if value is None else [f"--{name}", str(value)]
    for setting in settings:
        parts += ["--set", setting]
    return shlex.join(parts)


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
        kinds = _kinds(annotation)
        if str(part) in kinds:
            kind, annotation = str(part), kinds[str(part)]
        else:
            keys.append(str(part))
            annotation = _annotation(annotation, [str(part)])
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            section = annotation
    return _Place(keys, section, kind)
