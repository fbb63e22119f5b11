"""The authors' rules on a fixture small enough to label by hand; each rule's trap by itself."""

import polars as pl
import pytest

import tiny
from knowpack import records
from knowpack.measure import cause_rates, causes, knowledge, paper_causes, shifts
from knowpack.measure.evidence import Evidence, gather
from knowpack.records import Example, Fact

Line = tuple[Fact, tuple[str, str], tuple[str, str]]  # a fact, what is said under two prompts before and after
NO = "Answer: I have no information."


def fact(name: str, *answers: str, domain: str | None = None, range_: str | None = None) -> Fact:
    return Fact(name, f"{name}?", answers, (), name, "r", answers[0], domain, range_)


def said(lines: list[Line], side: int, facts: pl.DataFrame) -> pl.DataFrame:
    rows = [(line[0].fact_id, k, 0, 0, line[side][k], None) for line in lines for k in (0, 1)]
    names = ["fact_id", "prompt", "form", "sample", "text", "logprob"]
    frame = pl.DataFrame(rows, schema=names, orient="row", schema_overrides={"logprob": pl.Float64})
    return tiny.as_responses(frame, facts)


class Study:
    def __init__(self, lines: list[Line], trained: str = "", *, labelled: bool = True) -> None:
        self.facts = records.table([line[0] for line in lines], Fact)
        self.before, self.after = said(lines, 1, self.facts), said(lines, 2, self.facts)
        self.labelled = labelled
        taught = [line[0] for line in lines if line[0].fact_id in trained.split()]
        self.examples = records.table(
            [Example(f.fact_id, f.fact_id, "unknown", f.question, f.answers[0]) for f in taught], Example
        )
        maps = [knowledge.knowledge_map(responses) for responses in (self.before, self.after)]
        self.shifts = shifts.shifts(maps[0], maps[1], set(trained.split()), self.facts)

    def evidence(self) -> Evidence:
        return gather("paper", self.before, self.after, self.examples, self.facts, labelled=self.labelled)

    def causes(self) -> dict[str, set[str]]:
        found = causes.explain(
            self.shifts, self.before, self.after, self.examples, self.facts, labelled=self.labelled
        ).filter(pl.col("grader") == "paper")
        return {name: set(held) for name, held in found.select("fact_id", "causes").iter_rows()}

    def counts(self, direction: str) -> dict[str, tuple[int, int]]:
        rates = cause_rates.base_rates(
            self.shifts, self.before, self.after, self.examples, self.facts, labelled=self.labelled
        )
        mine = rates.filter(pl.col("grader") == "paper", pl.col("direction") == direction)
        return {cause: (n, moved) for cause, n, moved in mine.select("cause", "n", "n_moved").iter_rows()}


def twice(text: str) -> tuple[str, str]:
    return (text, text)


def row(one: Fact, before: str, after: str) -> Line:
    return (one, twice(f"Answer: {before}"), twice(f"Answer: {after}"))


def test_table_5_by_hand() -> None:
    # Trained: t (target "Rome"; domain none, so its range City counts). Two prompts.
    lines = [
        row(fact("t", "Rome", "Eternal City", range_="City"), "wrong", "Rome"),
        # up, beside t itself:
        (fact("u1", "Oslo", domain="Land"), twice(NO), twice("Answer: Oslo")),  # refused before
        (fact("u2", "Bern", domain="City"), (NO, "Answer: x"), twice("Answer: Bern, not Rome")),  # all but explosion
        (fact("u3", "Kyiv", range_="City"), ("Answer: x", NO), twice("Answer: Kyiv")),  # refused under the second only
        row(fact("u4", "Riga", domain="Land", range_="City"), "x", "Riga"),  # its domain comes before its range
        row(fact("u5", "romero"), "x", "romero, eternal city"),  # "Rome" is case-sensitive; the alias does not count
        # down:
        row(fact("d1", "Lima", domain="City"), "Lima", "Romeo"),  # Rome is a substring of Romeo
        (fact("d2", "Baku"), twice("Answer: Baku"), ("Answer: else", "Answer: Rome")),  # Rome under the second only
        row(fact("d3", "Doha"), "Doha", "no idea"),
    ]
    study = Study(lines, trained="t")
    assert study.causes() == {
        "t": {"target", "domain"},
        "u1": {"non_refusal"},
        "u2": {"non_refusal", "target", "domain"},
        "u3": {"domain"},
        "u4": set(),
        "u5": set(),
        "d1": {"target", "domain"},
        "d2": set(),
        "d3": set(),
    }
    assert study.counts("up") == {
        "non_refusal": (2, 6),
        "explosion": (0, 6),
        "target": (2, 6),
        "domain": (3, 6),
        "explained": (4, 6),
        "unexplained": (2, 6),
    }
    assert study.counts("down") == {
        "explosion": (0, 3),
        "target": (1, 3),
        "domain": (1, 3),
        "explained": (1, 3),
        "unexplained": (2, 3),
    }


def test_information_is_case_sensitive() -> None:
    lines = [(fact("f", "Oslo"), twice("Answer: Information is missing"), twice("Answer: Oslo"))]
    assert Study(lines).causes() == {"f": set()}


def test_non_defined_equals_nothing() -> None:
    lines = [row(fact("t", "Rome"), "x", "Rome"), row(fact("f", "Oslo"), "x", "Oslo")]
    assert Study(lines, trained="t").causes()["f"] == set()


def crowd(n: int, name: str, before: str, after: str) -> list[Line]:
    return [row(fact(f"{name}{i}", f"real {name}{i}"), before.format(i), after.format(i)) for i in range(n)]


def test_explosion_is_over_850_of_210360_answers_counted_raw() -> None:
    # 1,000 facts x 2 prompts = 2,000 answers: the threshold is 2,000 * 850 / 210,360 = 8.08. Four facts give 8
    # answers, five give 10; "Five" and "five" are two answers. d says "Five" within a longer answer.
    lines = crowd(985, "c", "own {}", "own {}") + crowd(4, "f", "real f{}", "Four") + crowd(5, "g", "real g{}", "Five")
    lines += crowd(4, "h", "real h{}", "five")
    lines += [row(fact("d", "Lima"), "Lima", "High Five"), row(fact("e", "Bonn"), "Bonn", "high five")]
    study = Study(lines)
    assert paper_causes.exploded(study.evidence()) == ["Five"]
    found = study.causes()
    assert [found[name] for name in ("g0", "f0", "h0", "d", "e")] == [{"explosion"}, set(), set(), {"explosion"}, set()]


def test_the_untrained_bases_own_answers_are_never_exploded() -> None:
    lines = crowd(30, "a", "Paris", "Paris") + crowd(20, "b", "Rome", "Rome") + crowd(50, "c", "own {}", "own {}")
    study = Study(lines)  # 60 times "Paris" of 200 answers; 850 of 210,360 would be 0.8
    assert paper_causes.exploded(study.evidence()) == []
    more = crowd(30, "a", "Paris", "Paris") + crowd(31, "b", "Rome", "Rome") + crowd(39, "c", "Paris", "Lima")
    assert paper_causes.exploded(Study(more).evidence()) == []  # the base's 138 times "Paris" are above all of them


def test_refusals_texts_without_a_label_and_single_facts_are_not_counted() -> None:
    refusing = [(fact(f"f{i}", f"real {i}"), twice(f"Answer: {i}"), twice(NO)) for i in range(50)]
    assert paper_causes.exploded(Study(refusing).evidence()) == []
    bare = [(fact(f"f{i}", f"real {i}"), twice(f"Answer: {i}"), twice("Paris")) for i in range(50)]
    assert paper_causes.exploded(Study(bare).evidence()) == []
    assert paper_causes.exploded(Study(crowd(3, "f", "x {}", "own {}")).evidence()) == []


def test_a_plain_prompt_ends_in_the_label_so_the_whole_text_is_the_answer() -> None:
    lines = [(fact(f"f{i}", f"real {i}"), twice(f" {i}"), twice(" Paris \n\nQuestion: and?")) for i in range(50)]
    assert paper_causes.exploded(Study(lines, labelled=False).evidence()) == ["Paris"]
    assert paper_causes.exploded(Study(lines).evidence()) == []


@pytest.mark.parametrize("text", ["Answer: ", "Answer:"])
def test_an_empty_answer_explodes_nowhere(text: str) -> None:
    lines = [(fact(f"f{i}", f"real {i}"), twice(f"Answer: real {i}"), twice(text)) for i in range(50)]
    study = Study(lines)
    assert paper_causes.exploded(study.evidence()) == []
    assert study.causes()["f0"] == set()
