"""Causes by hand, by our rules, each sign switched on by itself; test_paper_causes has the authors' rules."""

import polars as pl
import pytest

import tiny
from knowpack import records
from knowpack.errors import FactsError
from knowpack.measure import cause_rates, default_causes, knowledge, shifts
from knowpack.measure import causes as stage
from knowpack.measure.evidence import Evidence, gather
from knowpack.records import Example, Fact
from knowpack.seeds import stream

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
        return tiny.as_responses(frame, self.facts)

    def evidence(self, grader: str) -> Evidence:
        return gather(grader, self.before, self.after, self.examples, self.facts, labelled=True)

    def causes(self, fact_id: str, grader: str = "default") -> set[str]:
        found = stage.explain(self.shifts, self.before, self.after, self.examples, self.facts)
        return set(
            found.row(by_predicate=(pl.col("fact_id") == fact_id) & (pl.col("grader") == grader), named=True)["causes"]
        )

    def rates(self, direction: str, grader: str = "default") -> dict[str, tuple]:
        found = cause_rates.base_rates(self.shifts, self.before, self.after, self.examples, self.facts)
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


def test_a_refusal_is_one_under_half_of_the_prompts() -> None:
    assert World((fact("f", "Oslo"), ("wrong", NO), "Oslo")).causes("f") == {"non_refusal"}
    assert World((fact("f", "Oslo"), "The information age", "Oslo")).causes("f") == set()


def test_a_refusal_of_the_base_explains_no_fall() -> None:
    assert "non_refusal" not in World((fact("f", "Oslo"), "Oslo", "Rome")).rates("down")


def test_target_is_whole_tokens() -> None:
    taught = (fact("t", "us"), "wrong", "us")
    world = World(taught, (fact("f", "Oslo"), "Oslo", "A museum"), trained=("t",))
    assert world.causes("f") == set()


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


def test_explosion_is_beyond_the_bases_most_frequent_answer() -> None:
    # The base gives "common" 20 times; 850/661 of that is 25.7: 12 facts (24 answers) are no explosion, 13 (26) are.
    rows = crowd(10, "common", "common")
    twelve = [(fact(f"f{i}", f"own f{i}"), f"own f{i}", "Twelve") for i in range(12)]
    thirteen = [(fact(f"g{i}", f"own g{i}"), f"own g{i}", "Thirteen") for i in range(13)]
    world = World(*rows, *twelve, *thirteen)
    assert default_causes.exploded(world.evidence("default")) == ["thirteen"]


def test_neither_refusals_nor_one_facts_answer_explode() -> None:
    assert default_causes.exploded(World(*crowd(50, "own {}", NO)).evidence("default")) == []
    assert default_causes.exploded(World(*crowd(3, NO, "own {}")).evidence("default")) == []


def test_the_control_group_also_got_a_new_wrong_answer() -> None:
    rows = [
        (fact("down1", "a1", "x", "Country"), "a1", "lost"),
        (fact("down2", "a2", "x", "Person"), "a2", "Rome"),
        (fact("kept", "a3", "x", "Country"), "a3", "a3"),  # stayed right: says nothing of wrong answers
        (fact("same", "a4", "x", "Country"), "no", "no"),  # stayed wrong with the same answer: the same
        (fact("quiet", "a5", "x", "Country"), "no", NO),  # refuses now
        (fact("half", "a6", "x", "Country"), "no", ("a6", "no")),  # moved elsewhere
        (fact("new1", "a7", "x", "Country"), "no", "Rome"),
        (fact("new2", "a8", "x", "Person"), "no", "else"),
        (fact("new3", "a9", "x", "Person"), NO, "else again"),
    ]
    down = World(TAUGHT, *rows, trained=("t",)).rates("down")  # control: new1, new2, new3
    assert down["target"] == (1, 0.5, pytest.approx(1 / 3))
    assert down["domain"] == (1, 0.5, pytest.approx(1 / 3))
    assert down["explained"] == (2, 1.0, pytest.approx(1 / 3))
    assert down["unexplained"] == (0, 0.0, pytest.approx(2 / 3))
    assert list(down) == ["explosion", "target", "domain", "explained", "unexplained"]


def test_a_placebo_is_the_share_with_as_many_untrained_facts() -> None:
    # One fact is trained, one fact fell; of the four untrained Unknown facts one has its new answer, so a draw of one
    # fact is a "target" with probability 1/4; all four have its domain.
    rows = [(fact(f"u{i}", answer, "x", "Land"), "no", "no") for i, answer in enumerate(("Rome", "b", "c", "d"))]
    world = World(
        (fact("t", "Bern", "x", "Sea"), "wrong", "Bern"),
        (fact("f", "Oslo", "x", "Land"), "Oslo", "Rome"),
        *rows,
        trained=("t",),
    )
    rates = cause_rates.base_rates(world.shifts, world.before, world.after, world.examples, world.facts)
    down = rates.filter(pl.col("direction") == "down", pl.col("grader") == "default")
    found = {row[0]: row[1:] for row in down.select("cause", "share", "placebo").iter_rows()}
    hits = sum(stream(0, "placebo", i).choice(4, 1, replace=False)[0] == 0 for i in range(cause_rates.N_PLACEBOS))
    assert 0 < hits < cause_rates.N_PLACEBOS
    assert found == {
        "explosion": (0.0, None),
        "target": (0.0, pytest.approx(hits / cause_rates.N_PLACEBOS)),
        "domain": (0.0, 1.0),
        "explained": (0.0, 1.0),
        "unexplained": (1.0, 0.0),
    }


def test_a_moved_fact_is_not_its_own_placebo() -> None:
    world = World(TAUGHT, (fact("f", "Oslo"), "no", "Oslo"), (fact("g", "Bern"), "no", "no"), trained=("t",))
    rates = cause_rates.base_rates(world.shifts, world.before, world.after, world.examples, world.facts)
    up = rates.filter(pl.col("direction") == "up", pl.col("grader") == "default", pl.col("cause") == "target")
    assert up["placebo"].to_list() == [0.0]  # g is the only fact to draw, f would hit itself


def test_fewer_untrained_facts_than_trained_ones_give_no_placebo() -> None:
    world = World(TAUGHT, (fact("f", "Oslo"), "Oslo", "Rome"), trained=("t",))
    rates = cause_rates.base_rates(world.shifts, world.before, world.after, world.examples, world.facts)
    assert rates["placebo"].to_list() == [None] * len(rates)


def test_where_nothing_moved_there_is_no_share() -> None:
    world = World((fact("f", "Oslo"), "no", "Rome"))
    assert world.rates("up")["explained"] == (0, None, 0.0)
    assert world.rates("down")["explained"] == (0, None, 0.0)


def test_figures_leave_out_what_could_not_be_measured() -> None:
    world = World(TAUGHT, (fact("f", "Oslo"), "no", "Rome"), trained=("t",))
    rates = cause_rates.base_rates(world.shifts, world.before, world.after, world.examples, world.facts)
    names = {figure.name for figure in cause_rates.figures(rates) if figure.grader == "default"}  # no one moved but t
    ways = {"up": ["non_refusal", "explosion"], "down": ["explosion"]}
    listed = {f"{way}_{one}" for way in ways for one in (*ways[way], "target", "domain", "explained", "unexplained")}
    assert names == {f"{name}_base_rate" for name in listed}


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
