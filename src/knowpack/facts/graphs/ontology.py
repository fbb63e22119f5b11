"""An ontology file: label, domain and range of each relation, superclasses of each class.

.ttl, .owl/.rdf/.xml or .nt (pyoxigraph reads them) -> `Ontology`. Labels are the English ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from knowpack.errors import FactsError
from knowpack.facts.iri_names import spaced
from knowpack.facts.wordings import Wording, local_name

RDFS = "http://www.w3.org/2000/01/rdf-schema#"
KINDS = {".ttl": "TURTLE", ".owl": "RDF_XML", ".rdf": "RDF_XML", ".xml": "RDF_XML", ".nt": "N_TRIPLES"}
KINDS_OF_THING = (
    "Person",
    "Organisation",
    "Place",
    "Work",
    "Event",
    "Language",
    "EthnicGroup",
    "Disease",
    "Award",
    "Activity",
    "Device",
    "MeanOfTransportation",
    "TimePeriod",
    "PersonFunction",
    "TopicalConcept",
    "Species",
)
"""What can be told apart: a class is of the first kind that is itself or among its superclasses."""


@dataclass(frozen=True, slots=True)
class Ontology:
    """What an ontology says. Relations and classes by the last part of their IRI."""

    labels: dict[str, str] = field(default_factory=dict)
    domains: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, str] = field(default_factory=dict)
    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Class -> its direct superclasses, sorted."""

    def label(self, name: str) -> str:
        """The English label, else the name as words."""
        return self.labels.get(name) or spaced(name)

    def chain(self, name: str) -> tuple[str, ...]:
        """The class's superclasses, nearest first."""
        ancestors: list[str] = []
        level = [name]
        while level:
            level = [up for one in level for up in self.parents.get(one, ()) if up not in ancestors and up != name]
            ancestors += list(dict.fromkeys(level))
        return tuple(dict.fromkeys(ancestors))

    def kind(self, name: str | None) -> int:
        """Index into KINDS_OF_THING; -1 where a class is of none of them, or not given."""
        if name is None:
            return -1
        broad = {up for kind in ("Person", "Organisation", "Place") for up in self.chain(kind)}
        if name in broad:  # an Agent or an Animal may be a Person: no evidence
            return -1
        above = {name, *self.chain(name)}
        return next((index for index, kind in enumerate(KINDS_OF_THING) if kind in above), -1)

    def kinds(self, relations: Sequence[str]) -> np.ndarray:
        """Kind of the domain and of the range of each relation, (n_relations, 2) int8, -1 = any."""
        pairs = [
            (self.kind(self.domains.get(one)), self.kind(self.ranges.get(one))) for one in map(local_name, relations)
        ]
        return np.array(pairs, dtype=np.int8).reshape(-1, 2)

    def wording(self, relation: str) -> Wording:
        """Questions from the relation's label, domain and range, where nobody wrote any by hand."""
        label, domain, range_ = self.label(relation), self.domains.get(relation), self.ranges.get(relation)
        person = range_ is not None and "Person" in {range_, *self.chain(range_)}
        of = f"the {self.label(domain)} {{}}" if domain else "{}"
        questions = [
            f"{'Who' if person else 'What'} is the {label} of {{}}?",
            f"Which {self.label(range_) if range_ and not person else 'name'} is given as the {label} of {of}?",
            f"What do we know as the {label} of {of}?",
            f"Name the {label} of {{}}.",
            f"For {of}, what is the {label}?",
        ]
        return Wording(tuple(dict.fromkeys(questions)), domain, range_)


def read(path: Path) -> Ontology:
    """Read an ontology. Raises FactsError for an unreadable file or one without a single range."""
    try:
        import pyoxigraph as rdf
    except ImportError:
        raise FactsError(f"{path}: ontologies need one more package: pip install 'knowpack[graphs]'") from None
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise FactsError(f"{path}: unknown kind of ontology; expected one of {', '.join(KINDS)}")
    ontology = Ontology()
    try:
        for quad in rdf.parse(path=str(path), format=getattr(rdf.RdfFormat, kind), lenient=True):
            if isinstance(quad.subject, rdf.NamedNode):
                _note(ontology, quad.subject.value, quad.predicate.value, quad.object)
    except (OSError, SyntaxError, ValueError) as error:
        what = " ".join(str(error).split())[:150]
        raise FactsError(f"{path}: no readable ontology: {what}") from None
    if not ontology.ranges:
        raise FactsError(f"{path} gives no relation a range (rdfs:range); is it the ontology file?")
    return ontology


def _note(ontology: Ontology, subject: str, predicate: str, value: object) -> None:
    name = local_name(subject)
    text = str(getattr(value, "value", ""))
    match predicate.removeprefix(RDFS):
        case "label" if getattr(value, "language", None) in ("en", None):
            ontology.labels.setdefault(name, text)
        case "domain":
            ontology.domains[name] = min(ontology.domains.get(name, "\uffff"), local_name(text))
        case "range":
            ontology.ranges[name] = min(ontology.ranges.get(name, "\uffff"), local_name(text))
        case "subClassOf" if not text.startswith(("_:", "http://www.w3.org/")) and type(value).__name__ == "NamedNode":
            ontology.parents[name] = tuple(sorted({*ontology.parents.get(name, ()), local_name(text)}))
