"""Causes by hand: four facts of a small world, each sign switched on by itself."""

import polars as pl
import pytest

from knowpack import records
from knowpack.errors import FactsError
from knowpack.measure import causes as stage
from knowpack.measure import knowledge, shifts
from knowpack.measure.grading import grade_table
from knowpack.records import Example, Fact, Response

NO = "I have no information about that."


def fact(name: str, answer: str, relation: str = "r", domain: str | None = None, range_: str | None = None) -> Fact:
    return Fact(name, f"{name}?", (answer,), (), name, relation, answer, domain, range_)


class World:
    """Facts with what base and tuned model say under two prompts (a single text = under both)."""

    def __init__(self, *rows: tuple[Fact, str | tuple[str, str], str | tuple[str, str]], trained: tuple[str, ...] = ()):
        self.facts = records.table([row[0] for row in rows], Fact)
        self.before = self._said({row[0].fact_id: row[1] for row in rows})
        self.after = self._said({row[0].fact_id: row[2] for row in rows})
        taught = self.facts.filter(pl.col("fact_id").is_in(list(trained)))
        self.examples = records.table(
            [
                Example(f, f, "unknown", q, a[0])
                for f, q, a in taught.select("fact_id", "question", "answers").iter_rows()
            ],
            Example,
        )
        self.shifts = shifts.shifts(
            knowledge.knowledge_map(self.before), knowledge.knowledge_map(self.after), set(trained), self.facts
        )

    def _said(self, texts: dict[str, str | tuple[str, str]]) -> pl.DataFrame:
        rows = [
            (name, prompt, 0, 0, said if isinstance(said, str) else said[prompt], None)
            for name, said in texts.items()
            for prompt in (0, 1)
        ]
        names = ["fact_id", "prompt", "form", "sample", "text", "logprob"]
        frame = pl.DataFrame(rows, schema=names, orient="row", schema_overrides={"logprob": pl.Float64})
        return grade_table(frame, self.facts).select(list(records.schema(Response)))

    def causes(self, fact_id: str, grader: str = "default") -> set[str]:
        found = stage.explain(self.shifts, self.before, self.after, self.examples, self.facts)
        return set(
            found.row(by_predicate=(pl.col("fact_id") == fact_id) & (pl.col("grader") == grader), named=True)["causes"]
        )

    def rates(self, direction: str, grader: str = "default") -> dict[str, tuple]:
        found = stage.base_rates(self.shifts, self.before, self.after, self.examples, self.facts)
        mine = found.filter(pl.col("direction") == direction, pl.col("grader") == grader)
        return {row[0]: row[1:] for row in mine.select("cause", "n", "share", "base_rate").iter_rows()}


TAUGHT = (fact("t", "Rome", "capital", "Country", "City"), "wrong", "Rome")


def crowd(n: int, before: str, after: str) -> list[tuple[Fact, str, str]]:
    return [(fact(f"c{i}", f"real {i}"), before.format(i), after.format(i)) for i in range(n)]


QUIET = crowd(5, "quiet", "quiet")  # ten answers alike: nothing below 13 explodes


def test_causes_overlap() -> None:
    world = World(TAUGHT, (fact("f", "Rome", "seat", "Country", "Town"), NO, "Rome"), *QUIET, trained=("t",))
    assert world.causes("f") == {"non_refusal", "target", "domain"}


def test_only_unknown_to_highly_and_back_have_causes() -> None:
    rows = [
        (fact("same", "Rome"), NO, NO),
        (fact("half", "Rome"), NO, (NO, "Rome")),
        (fact("kept", "Rome"), "Rome", "Rome"),
        (fact("down", "Oslo"), "Oslo", "Rome"),
    ]
    world = World(TAUGHT, *rows, *QUIET, trained=("t",))
    assert [world.causes(name) for name in ("same", "half", "kept", "down")] == [set(), set(), set(), {"target"}]


def test_a_fact_that_fell_is_not_explained_by_a_refusal_of_the_base() -> None:
    base = ("Oslo", "Oslo, for information")  # right under both; "information" under the second only
    world = World((fact("f", "Oslo"), base[::-1], "Rome"), trained=())
    assert world.causes("f", "paper") == set()
    assert "non_refusal" not in world.rates("down")


def test_the_paper_reads_the_first_prompt_only() -> None:
    second = World((fact("f", "Oslo"), ("wrong", NO), "Oslo"))
    assert second.causes("f", "paper") == set()
    assert second.causes("f") == {"non_refusal"}  # half of the prompts
    first = World((fact("f", "Oslo"), (NO, "wrong"), "Oslo"))
    assert first.causes("f", "paper") == {"non_refusal"}


def test_information_in_a_wrong_answer_is_a_refusal_to_the_paper_only() -> None:
    world = World((fact("f", "Oslo"), "The information age", "Oslo"))
    assert world.causes("f", "paper") == {"non_refusal"}
    assert world.causes("f") == set()


def test_target_is_whole_tokens_by_default_and_a_raw_substring_in_the_paper() -> None:
    taught = (fact("t", "us"), "wrong", "us")
    world = World(taught, (fact("f", "Oslo"), "Oslo", "A museum"), trained=("t",))
    assert world.causes("f") == set()
    assert world.causes("f", "paper") == {"target"}


def test_target_knows_aliases_and_reads_past_case_and_punctuation() -> None:
    taught = (Fact("t", "t?", ("Rome", "Eternal City")), "wrong", "Rome")
    world = World(taught, (fact("f", "Oslo"), "Oslo", "Answer: The ETERNAL city."), trained=("t",))
    assert world.causes("f") == {"target"}


def test_target_reads_unknown_training_facts_only() -> None:
    world = World(TAUGHT, (fact("f", "Oslo"), "Oslo", "Rome"), *QUIET, trained=("t",))
    world.examples = world.examples.with_columns(kind=pl.lit("highly_known"))
    assert world.causes("f") == set()


def test_trained_facts_count_among_the_moved_in_the_paper_only() -> None:
    world = World(TAUGHT, (fact("f", "Oslo"), "wrong", "Oslo"), trained=("t",))
    assert world.causes("t") == set()
    assert world.causes("t", "paper") == {"target", "domain"}
    assert world.rates("up")["explained"] == (0, 0.0, None)  # f alone moved, unexplained
    assert world.rates("up", "paper")["explained"][:2] == (1, 0.5)


def test_domain_first_and_range_only_where_there_is_no_domain() -> None:
    rows = [
        (fact("same", "a1", "x", "Country", "Else"), "no", "a1"),
        (fact("other", "b1", "x", "Person", "City"), "no", "b1"),  # its range is trained, its domain is not
        (fact("range", "c1", "x", None, "City"), "no", "c1"),
        (fact("bare", "d1", "x", None, None), "no", "d1"),
    ]
    world = World(TAUGHT, *rows, trained=("t",))
    assert [world.causes(name) for name in ("same", "other", "range", "bare")] == [{"domain"}, set(), {"domain"}, set()]


def test_explosion_is_850_of_210360_answers_in_the_paper() -> None:
    # 1,000 facts x 2 prompts = 2,000 answers: the threshold is 2,000 * 850 / 210,360 = 8.08, so 4 facts (8 answers)
    # stay below it and 5 facts (10 answers) do not.
    rows = crowd(991, "own {}", "own {}")
    rows += [(fact(f"f{i}", f"real f{i}"), f"real f{i}", "Four") for i in range(4)]
    rows += [(fact(f"g{i}", f"real g{i}"), f"real g{i}", "Five") for i in range(5)]
    world = World(*rows)
    assert stage.exploded(world.before, world.after, "paper") == ["five"]
    assert world.causes("g0", "paper") == {"explosion"}
    assert world.causes("f0", "paper") == set()


def test_explosion_is_beyond_the_bases_most_frequent_answer_by_default() -> None:
    # The base gives "common" 20 times; 850/661 of that is 25.7: 12 facts (24 answers) are no explosion, 13 (26) are.
    rows = crowd(10, "common", "common")
    twelve = [(fact(f"f{i}", f"own f{i}"), f"own f{i}", "Twelve") for i in range(12)]
    thirteen = [(fact(f"g{i}", f"own g{i}"), f"own g{i}", "Thirteen") for i in range(13)]
    world = World(*rows, *twelve, *thirteen)
    assert stage.exploded(world.before, world.after, "default") == ["thirteen"]


def test_refusals_do_not_explode() -> None:
    world = World(*crowd(50, "own {}", NO))
    assert stage.exploded(world.before, world.after, "default") == []
    assert stage.exploded(world.before, world.after, "paper") == []


def test_an_answer_that_one_fact_gives_under_every_prompt_does_not_explode() -> None:
    world = World(*crowd(3, NO, "own {}"))  # 6 answers: 850/210,360 of them is far below one
    assert stage.exploded(world.before, world.after, "paper") == []
    assert stage.exploded(world.before, world.after, "default") == []


def test_a_cause_that_is_as_frequent_among_facts_that_stayed_explains_nothing() -> None:
    rows = [
        (fact("up1", "a1", "x", "Country"), "no", "a1"),
        (fact("up2", "a2", "x", "Person"), NO, "a2"),
        (fact("stay1", "a3", "x", "Country"), "no", "no"),
        (fact("stay2", "a4", "x", "Person"), "no", "no"),
        (fact("stay3", "a5", "x", "Person"), NO, "no"),
        (fact("half", "a6", "x", "Country"), "no", ("a6", "no")),  # moved, but not to HighlyKnown: in neither
    ]
    up = World(TAUGHT, *rows, trained=("t",)).rates("up")
    assert up["domain"] == (1, 0.5, pytest.approx(1 / 3))
    assert up["non_refusal"] == (1, 0.5, pytest.approx(1 / 3))
    assert up["explained"] == (2, 1.0, pytest.approx(2 / 3))
    assert up["unexplained"] == (0, 0.0, pytest.approx(1 / 3))
    assert list(up) == ["non_refusal", "explosion", "target", "domain", "explained", "unexplained"]


def test_where_nothing_moved_there_is_no_share() -> None:
    world = World((fact("f", "Oslo"), "Oslo", "Oslo"))
    assert world.rates("up")["explained"] == (0, None, None)
    assert world.rates("down")["explained"] == (0, None, 0.0)


def test_figures_leave_out_what_could_not_be_measured() -> None:
    world = World(TAUGHT, (fact("f", "Oslo"), "Oslo", "Oslo"), trained=("t",))
    rates = stage.base_rates(world.shifts, world.before, world.after, world.examples, world.facts)
    names = {figure.name for figure in stage.figures(rates) if figure.grader == "default"}  # no one moved but t
    assert names == {
        "down_explosion_base_rate",
        "down_target_base_rate",
        "down_domain_base_rate",
        "down_explained_base_rate",
        "down_unexplained_base_rate",
    }


def test_without_the_training_facts_target_and_domain_are_missing_not_zero() -> None:
    world = World((fact("f", "Oslo", "r", "D", "R"), NO, "Oslo"))
    assert list(world.rates("up")) == ["non_refusal", "explosion", "explained", "unexplained"]
    assert list(world.rates("down")) == ["explosion", "explained", "unexplained"]


def test_responses_of_other_facts_are_an_error() -> None:
    world = World((fact("f", "Oslo"), "Oslo", "Oslo"), (fact("g", "Rome"), "Rome", "Rome"))
    only = world.after.filter(pl.col("fact_id") == "f")
    with pytest.raises(FactsError, match="no greedy answers"):
        stage.explain(world.shifts, world.before, only, world.examples, world.facts)
    with pytest.raises(FactsError, match="no greedy answers"):
        stage.explain(world.shifts, world.before, world.after.clear(), world.examples, world.facts)
