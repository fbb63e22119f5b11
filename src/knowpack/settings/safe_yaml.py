"""Safe YAML: a file of settings or wordings as plain values, whoever wrote it.

text -> values. Keys that stand twice, aliases that multiply or turn in circles and endless nesting are refused in one
line.
"""

import re
from collections import Counter

import yaml

MOST_NODES = 100_000
"""Values in a file of settings or wordings; the largest of ours has some 3,000."""
_EXPONENT = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
        message = str(error).replace('in "<unicode string>", ', "at ")
        raise ValueError(" ".join(message.split())[:300]) from None
    finally:
        loader.dispose()


def read_scalar(text: str) -> object:
    """One value as YAML reads it, and 1e-3 as the number it is; what is no YAML is text."""
    try:
        value = read_yaml(text)
    except ValueError:
        return text
    if isinstance(value, str) and _EXPONENT.fullmatch(value):  # YAML 1.1 reads 1e-3 as text
        return float(value)
    return value


def _n_nodes(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for, those behind aliases counted each time. Raises ValueError at a circle or at
    a key that stands twice (YAML lets the last one win, without a word)."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if (counted := known.get(id(node))) is not None:
        if counted == 0:
            raise ValueError("an alias that holds itself")
        return counted
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
