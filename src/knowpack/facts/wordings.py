"""Question wordings by relation, our own: dbpedia.yaml (object properties) and bear.yaml (Wikidata properties).

"dbpedia" | "bear" | path -> {relation: Wording}. {} stands for the subject. A user's file may have two shapes:
ours (relation: list of questions, or {questions, domain, range}), or one template a relation with _ for the
subject and the relation's IRI as key, as published with Head-to-Tail (Sun et al. 2024).
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from knowpack.errors import FactsError
from knowpack.facts.values import parsed
from knowpack.settings import read_yaml

PACKAGED = ("dbpedia", "bear")


@dataclass(frozen=True, slots=True)
class Wording:
    """How to ask for the object of a relation."""

    questions: tuple[str, ...]
    """Templates, {} for the subject; the first is the question, the others its paraphrases."""
    domain: str | None = None
    range: str | None = None

    def fill(self, subject: str) -> list[str]:
        """The questions about this subject."""
        return [tidy(question.replace("{}", subject)) for question in self.questions]


def tidy(question: str) -> str:
    """Mend what filling in a name can break: a doubled article, a name's own full stop before a mark."""
    for wrong in (" the the ", " the The "):
        question = question.replace(wrong, " the ")
    return " ".join(question.split())


def load(source: str) -> dict[str, Wording]:
    """Packaged wordings by name, or a user's JSON or YAML file. Raises FactsError in one line."""
    if source in PACKAGED:
        text = (resources.files("knowpack.facts") / "wordings" / f"{source}.yaml").read_text(encoding="utf-8")
        return _wordings(read_yaml(text), source)
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
        data = parsed(text) if path.suffix == ".json" else read_yaml(text)
    except FileNotFoundError:
        raise FactsError(f"there are no wordings {source}; known by name: {', '.join(PACKAGED)}") from None
    except (OSError, ValueError) as error:
        first = " ".join(str(error).split())[:150]
        raise FactsError(f"cannot read the wordings {source}: {first}; known by name: {', '.join(PACKAGED)}") from None
    return _wordings(data, source)


def local_name(relation: str) -> str:
    """The last part of an IRI: <http://dbpedia.org/ontology/birthPlace> -> birthPlace."""
    return relation.strip("<>").replace("#", "/").rsplit("/", 1)[-1]


def _wordings(data: object, where: str) -> dict[str, Wording]:
    if not isinstance(data, dict) or not data:
        raise FactsError(f"{where}: expected {{relation: question or list of questions}}, got {type(data).__name__}")
    wordings = {}
    for relation, value in data.items():
        questions, domain, range_ = value, None, None
        if isinstance(value, dict):
            questions, domain, range_ = value.get("questions"), value.get("domain"), value.get("range")
        if isinstance(questions, str):
            questions = [questions] if questions else []
        if not isinstance(questions, list):
            raise FactsError(f"{where}: {relation}: expected a question or a list of questions")
        filled = [_template(str(question), str(relation), where) for question in questions]
        if filled:  # Head-to-Tail leaves some relations empty
            wordings[local_name(str(relation))] = Wording(tuple(dict.fromkeys(filled)), domain, range_)
    return wordings


def _template(question: str, relation: str, where: str) -> str:
    if "{}" in question:
        return question
    if "_" in question:
        return question.replace("_", "{}", 1)
    raise FactsError(f"{where}: {relation}: {question!r} has no place for the subject; write {{}} (or _) there")
