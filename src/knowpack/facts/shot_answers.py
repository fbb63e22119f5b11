"""Few-shot answers as the authors' code takes them: TriviaQA's first normalized alias (Pletenev et al. 2025).

Rows of a pool -> the same rows, whose only answer is that alias.
"""

import re
import string
from collections.abc import Iterable, Iterator

from knowpack.facts.readers import Row

_PLACES = ("normalized_aliases", "aliases", "answers")  # where aliases stand, beside the answer or inside it
_ANSWERS = {"answer", "Answer", "answers", "possible_answers", "aliases", "normalized_aliases"}
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + "‘’´`", " "))
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def normal_form(text: str) -> str:
    """TriviaQA's normal form (Joshi et al. 2017, its evaluation script): lower case, no punctuation, no articles."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def normalized(rows: Iterable[Row]) -> Iterator[Row]:
    """Each row with the first normalized alias as its answer; where it lists none, the first alias or the answer."""
    for row in rows:
        kept = {name: value for name, value in row.values.items() if name not in _ANSWERS}
        yield row._replace(values={**kept, "answer": normal_form(_first(row))})


def _first(row: Row) -> str:
    answer = row.values.get("answer", row.values.get("Answer"))
    inside = answer if isinstance(answer, dict) else {}
    for name in _PLACES:
        listed = inside.get(name) or row.values.get(name)
        if isinstance(listed, list | tuple) and listed:
            return str(listed[0])
    return str(inside.get("value", answer))
