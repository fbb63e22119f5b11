"""What a pack changes: facts that are new, facts that an adapter holds already, facts that are taken back.

`Request` -> `Changes`, all of it known before the model is opened. A new fact that contradicts one packed earlier takes
its place; one that repeats it is left out.
"""

from dataclasses import dataclass, field, replace

import polars as pl

from knowpack.errors import FactsError
from knowpack.facts import sources
from knowpack.pack import overlap
from knowpack.pack.earlier_adapter import NO_FACTS, EarlierAdapter, open_earlier
from knowpack.pack.plan import touching
from knowpack.pack.problems import PACKED, Problem, checked_facts
from knowpack.pack.request import HELD_OUT, NONE, Request, check, known_of
from knowpack.records import Fact, rows, table

SHOWN = 3  # facts in an error
SMALL = 1000  # facts to keep that are compared at once; of more than that enough are apart, or the split says so


@dataclass(frozen=True)
class Changes:
    """Fact tables, disjoint."""

    new: pl.DataFrame
    earlier: pl.DataFrame
    """Packed before; they stay."""
    removed: pl.DataFrame
    """Packed before and taken back, now or by an earlier pack: their answers are the base's."""
    replaced: dict[str, tuple[str, ...]]
    """Of a new fact: the answers that were packed earlier and are wrong now."""
    problems: list[Problem]
    """What was left out."""
    onto: EarlierAdapter | None = None
    known: pl.DataFrame = field(default_factory=lambda: NO_FACTS)
    """Of the new table, what the base answers already: trained along, or else it would be lost; counted apart."""

    removed_earlier: frozenset[str] = frozenset()
    """Of those taken back: the ids of those that an earlier pack took back, and that none has packed since."""

    @property
    def n_removed(self) -> int:
        """How many are taken back now."""
        return self.removed.height - len(self.removed_earlier)

    @property
    def packed(self) -> pl.DataFrame:
        """What the adapter is to answer."""
        return pl.concat([self.new, self.earlier])

    @property
    def touched(self) -> pl.DataFrame:
        """What is neither replayed nor measured as untrained."""
        return pl.concat([self.packed, self.removed])


def read_changes(request: Request) -> Changes:
    """Read and compare all tables. Raises FactsError that names what cannot be packed, or that says that the facts to
    keep are too few; or ConfigError."""
    result = _of_tables(request)
    if known_of(request) not in (NONE, *sources.SOURCES):
        known = sources.load(known_of(request))
        if known.height <= SMALL:
            touching(known, result.touched)
    return result


def _of_tables(request: Request) -> Changes:
    check(request)
    facts, problems = checked_facts(request) if request.facts else (NO_FACTS, [])
    if request.onto is None:
        return Changes(facts, NO_FACTS, NO_FACTS, {}, problems)
    onto = open_earlier(request.onto, request.earlier)
    removed = _removed(request.remove, onto) if request.remove else NO_FACTS
    remaining = onto.facts.join(removed, on="fact_id", how="anti", maintain_order="left")
    result = _compared(facts, remaining, removed, problems, onto)
    packed_again = overlap.ids(result.packed, onto.taken_back) | set(removed["fact_id"])
    before = onto.taken_back.filter(~pl.col("fact_id").is_in(list(packed_again)))
    return replace(result, removed=pl.concat([removed, before]), removed_earlier=frozenset(before["fact_id"]))


def _compared(
    facts: pl.DataFrame, remaining: pl.DataFrame, removed: pl.DataFrame, problems: list[Problem], onto: EarlierAdapter
) -> Changes:
    """The new table against what is in the adapter: repeats are left out, contradictions replace."""
    back = sorted({pair.fact.question for pair in overlap.pairs(facts, removed)})
    if back:
        raise FactsError(f"{len(back)} facts are to be packed and taken back at once ({back[0]!r}); give each once")
    repeated: dict[str, Problem] = {}
    replaced: dict[str, list[Fact]] = {}
    for pair in overlap.pairs(facts, remaining):
        if pair.agree:
            detail = f"{pair.fact.question!r}: {pair.fact.answers[0]!r}"
            repeated[pair.fact.fact_id] = Problem(PACKED, pair.fact.fact_id, detail)
        else:
            replaced.setdefault(pair.fact.fact_id, []).append(pair.other)
    replaced = {fact_id: old for fact_id, old in replaced.items() if fact_id not in repeated}
    gone = {one.fact_id for old in replaced.values() for one in old}
    new = [_with_wordings(one, replaced.get(one.fact_id, [])) for one in rows(facts, Fact)]
    answers = {
        fact_id: tuple(dict.fromkeys(answer for one in old for answer in one.answers))
        for fact_id, old in replaced.items()
    }
    return Changes(
        table([one for one in new if one.fact_id not in repeated], Fact),
        remaining.filter(~pl.col("fact_id").is_in(list(gone))),
        removed,
        answers,
        [*problems, *repeated.values()],
        onto,
    )


def _with_wordings(fact: Fact, old: list[Fact]) -> Fact:
    """A new fact also in the wordings that its predecessor was trained in: there the old answer sits."""
    if not old:
        return fact
    n_held_out = HELD_OUT if len(fact.paraphrases) >= HELD_OUT else 0  # else the old wordings have some to hold out
    trained = [text for one in old for text in (one.question, *one.paraphrases[: len(one.paraphrases) - n_held_out])]
    known_wordings = {fact.question, *fact.paraphrases}
    more = [text for text in dict.fromkeys(trained) if text not in known_wordings]
    return replace(fact, paraphrases=(*more, *fact.paraphrases))


def _removed(path: str, onto: EarlierAdapter) -> pl.DataFrame:
    """The facts of the adapter that a table names, by their questions. Raises FactsError for others."""
    named = sources.load(path, contradictions="keep")
    pairs = list(overlap.pairs(named, onto.facts))
    strange = named.filter(~pl.col("fact_id").is_in([pair.fact.fact_id for pair in pairs]))
    if strange.height:
        listed = ", ".join(repr(question) for question in strange["question"].head(SHOWN))
        raise FactsError(f"{path}: {strange.height} facts are not in the adapter {onto.folder}: {listed}")
    removed = onto.facts.filter(pl.col("fact_id").is_in([pair.other.fact_id for pair in pairs]))
    if removed.height == onto.facts.height:
        raise FactsError(f"{path} takes back all {removed.height} facts of the adapter: use the base without it")
    return removed
