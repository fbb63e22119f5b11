"""What pack decides and names before any training: problems, budget, rank, parts, replay prompts."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from knowpack.cli.capacity import _limit_text
from knowpack.config import KeepRecipe
from knowpack.errors import FactsError
from knowpack.pack import capacity, plan
from knowpack.pack.budget import Budget, Harm
from knowpack.pack.changes import Changes
from knowpack.pack.flow import _known_apart, best_of
from knowpack.pack.problems import CONTRADICTS, INDISTINGUISHABLE, KNOWN, find_problems
from knowpack.pack.request import Request
from knowpack.pack.trial import Attempt
from knowpack.records import Estimate, Example, Fact, Knowledge, fact_id_of, table
from knowpack.seeds import stream
from knowpack.train import replay_prompts
from knowpack.train.retire import RetirementSchedule


@dataclass(frozen=True)
class SimpleTrial:
    """What of a trial says which facts are known."""

    changes: Changes
    before: pl.DataFrame
    facts: pl.DataFrame
    packed: set[str]


def fact(subject: str, relation: str, answer: str, question: str | None = None, **more: object) -> Fact:
    asked = question or f"What is the {relation} of {subject}?"
    return Fact(
        fact_id_of("test", subject, relation, answer, asked),
        asked,
        (answer,),
        subject=subject,
        relation=relation,
        object=answer,
        domain="Person",
        range=f"{relation} range",
        **more,
    )


def knows(categories: dict[str, str], p_refused: float = 0.0) -> pl.DataFrame:
    rows = [Knowledge(i, "default", 5, float(c == "HighlyKnown"), c, "x", p_refused) for i, c in categories.items()]
    return table(rows, Knowledge)


def test_two_answers_for_one_subject_and_relation_contradict() -> None:
    facts = table([fact("Ada Moor", "spouse", "Bo"), fact("ada  moor", "spouse", "Cy", "Who wed Ada Moor?")], Fact)
    assert [(p.check, p.fact_id) for p in find_problems(facts)] == [(CONTRADICTS, facts["fact_id"][1])]


def test_same_answer_in_another_question_is_no_contradiction() -> None:
    assert not find_problems(table([fact("Ada", "spouse", "Bo"), fact("Ada", "spouse", "Bo", "Who wed Ada?")], Fact))


def test_two_facts_that_share_a_wording_cannot_be_told_apart() -> None:
    facts = table(
        [
            fact("Ada Moor of Ely", "birth year", "1901", "When was Ada Moor born?"),
            fact("Ada Moor of Ayr", "birth year", "1950", "In which year?", paraphrases=("when was Ada Moor born",)),
        ],
        Fact,
    )
    assert [p.check for p in find_problems(facts)] == [INDISTINGUISHABLE]


def test_known_facts_are_named_only_where_the_base_never_fails() -> None:
    facts = table([fact("Ada", "spouse", "Bo"), fact("Eve", "spouse", "Cy")], Fact)
    first, second = facts["fact_id"]
    found = find_problems(facts, knows({first: "HighlyKnown", second: "MaybeKnown"}))
    assert [(p.check, p.fact_id) for p in found] == [(KNOWN, first)]


def test_a_fact_that_the_base_answers_already_is_trained_along_and_is_no_new_one() -> None:
    """Left out, it is the first to be lost: of sixty facts the two that were known went."""
    new, sure = (fact(name, "seat", name, paraphrases=(f"Where is {name} seated?", "x", "y", "z")) for name in "AB")
    facts, none = table([new, sure], Fact), table([], Fact)
    given = Changes(facts, none, none, {}, [])
    knowledge = knows({new.fact_id: "Unknown", sure.fact_id: "HighlyKnown"})
    trial = SimpleTrial(given, knowledge, facts, {new.fact_id, sure.fact_id})
    apart = _known_apart(trial)  # type: ignore[arg-type]
    assert apart.changes.new["fact_id"].to_list() == [new.fact_id]
    assert apart.changes.known["fact_id"].to_list() == [sure.fact_id]
    assert apart.packed == {new.fact_id}
    assert apart.changes.problems == []

    trained = plan.examples(apart.changes.packed, 3, table([], Example), known=apart.changes.known)
    rows = set(trained.select("fact_id", "kind", "question", "answer").iter_rows())
    assert rows == {
        (new.fact_id, "unknown", new.question, "A"),
        (new.fact_id, "paraphrase", "Where is A seated?", "A"),  # the last three wordings are never trained on
        (sure.fact_id, "highly_known", sure.question, "B"),
        (sure.fact_id, "paraphrase", "Where is B seated?", "B"),
    }


def test_nothing_to_pack_where_all_is_known() -> None:
    facts, none = table([fact("A", "seat", "A")], Fact), table([], Fact)
    trial = SimpleTrial(
        Changes(facts, none, none, {}, []), knows({facts["fact_id"][0]: "HighlyKnown"}), facts, set(facts["fact_id"])
    )
    with pytest.raises(FactsError, match="the base answers all 1 facts already"):
        _known_apart(trial)  # type: ignore[arg-type]


def test_rank_from_load_by_hand() -> None:
    # 20,000 bits / 0.05 bits a parameter = 400,000 parameters; / 4,000 a rank = 100 -> 128
    assert plan.rank_for(20_000, 4000) == 128
    assert plan.rank_for(1, 4000) == plan.MIN_RANK
    assert plan.rank_for(1e12, 4000) == plan.MAX_RANK


def people(n: int) -> pl.DataFrame:
    firsts = ("Ana", "Bea", "Cid", "Dov", "Eli", "Fay", "Gus", "Hal")
    lasts = ("Orr", "Paz", "Quin", "Ray", "Sol", "Tan")
    names = [f"{a} {b}" for i, a in enumerate(firsts) for j, b in enumerate(lasts) if (i + j) % 2]  # half of the grid
    return table([fact(name, "city", f"Town{i}") for i, name in enumerate(names[:n])], Fact)


def test_parts_are_disjoint_and_never_hold_a_packed_fact() -> None:
    known = people(24)
    packed = known.head(2)
    parts = plan.parts(known, packed, seed=3)
    ids = [set(part["fact_id"]) for part in (parts.replay, parts.validation, parts.report)]
    assert ids[0].isdisjoint(ids[1] | ids[2])
    assert ids[1].isdisjoint(ids[2])
    assert set(packed["fact_id"]) & set.union(*ids) == set()
    assert set(parts.about["fact_id"]) == set(known["fact_id"]) - set.union(*ids)
    assert len(set.union(*ids)) == 22


def test_what_reports_on_a_later_pack_was_replayed_for_no_earlier_one() -> None:
    """Drawn anew from what is left, the second report held facts that the first pack had replayed."""
    known = people(24)
    first = plan.parts(known, known.head(1), seed=3, n_report=6, n_validation=4)
    second = plan.parts(known, known.head(3), seed=3, n_report=6, n_validation=4)
    replayed = set(first.replay["fact_id"])
    assert replayed.isdisjoint(second.report["fact_id"])
    assert replayed.isdisjoint(second.validation["fact_id"])
    assert second.replay.height + second.validation.height + second.report.height == 21


def test_too_few_facts_to_measure_harm_on_is_one_line() -> None:
    with pytest.raises(FactsError, match="--known"):
        plan.parts(people(10), people(1), seed=3)


@pytest.mark.parametrize(("n", "there"), [(0, "there are 0"), (1, "there is 1")])
def test_a_single_fact_that_can_be_lost_is_one_line(n: int, there: str) -> None:
    """Four fifths of one are none: a sample of 0 facts ended in pydantic's four lines."""
    known = people(24)
    with pytest.raises(FactsError, match=f"{there}; .* --screen") as error:
        plan.parts(known, known.head(1), seed=3, measured=known.tail(n))
    assert "\n" not in str(error.value)
    parts = plan.parts(known, known.head(1), seed=3, measured=known.tail(2))
    assert (parts.report.height, parts.validation.height) == (1, 1)


def test_facts_that_can_be_lost_and_are_all_packed_name_the_option_that_asks_more() -> None:
    known = people(24)
    with pytest.raises(FactsError, match="--screen"):
        plan.parts(known, known.head(2), seed=3, measured=known.head(2))
    with pytest.raises(FactsError, match="--sample"):
        plan.parts(known, known.head(4), seed=3, n_report=1, n_validation=1)


def test_made_up_names_are_nobody_and_stand_in_the_question() -> None:
    facts = people(20)
    asked = replay_prompts.made_up(facts, facts.head(1), 10, seed=1)
    assert len(asked) == 10
    for question in asked["question"]:
        name = question.removeprefix("What is the city of ").removesuffix("?")
        assert name not in set(facts["subject"])
        first, last = name.split()
        assert any(s.startswith(first) for s in facts["subject"])
        assert any(s.endswith(last) for s in facts["subject"])


def test_recombined_single_words_by_letters() -> None:
    assert replay_prompts.recombined("Paris", "London") == "Pardon"
    assert replay_prompts.recombined("Ada Moor", "Eve Lund") == "Ada Lund"


def test_replay_never_asks_a_packed_fact_and_takes_a_third_of_each_kin() -> None:
    near = [fact(f"Near{i}", "spouse", f"A{i}") for i in range(9)]
    same_range = [fact(f"Range{i}", "partner", f"B{i}") for i in range(9)]
    same_range = [Fact(**{f: getattr(x, f) for f in x.__slots__} | {"range": "spouse range"}) for x in same_range]
    far = [fact(f"Far{i}", "river", f"C{i}") for i in range(9)]
    packed = table(near[:2], Fact)
    keep = KeepRecipe(n_replay=9, n_made_up=0)
    asked = replay_prompts.prompts(table([*near, *same_range, *far], Fact), packed, keep, seed=0)
    assert asked["why"].value_counts().sort("why").rows() == [("same_range", 3), ("same_relation", 3), ("unrelated", 3)]
    assert not set(asked["question"]) & set(packed["question"])
    assert replay_prompts.as_examples(asked)["kind"].unique().to_list() == ["replay"]


def test_retires_after_two_certain_checks_and_returns_when_lost() -> None:
    roll, rng = RetirementSchedule(3, KeepRecipe(bound=0.9)), stream(0, "test")
    roll.update([0.95, 0.95, 0.5])
    assert roll.n_active == 3  # once is not enough
    roll.update([0.95, 0.80, 0.5])
    assert roll.n_active == 2  # 0 retires; 1 lost its streak
    assert sorted(roll.draw(2, rng)) == [1, 2]
    roll.update([0.60, 0.95, 0.95])
    assert roll.n_active == 2  # 0 is less certain, and not lost
    roll.update([0.10, 0.50, 0.50])
    assert roll.n_active == 3  # 0 came back
    assert not roll.settled
    for _ in range(2):
        roll.update([0.99, 0.99, 0.99])
    assert roll.settled


def test_every_active_fact_is_drawn_before_any_comes_again() -> None:
    roll, rng = RetirementSchedule(6, KeepRecipe()), stream(0, "test")
    assert sorted(roll.draw(4, rng) + roll.draw(2, rng)) == list(range(6))
    assert len(set(roll.draw(16, rng))) == 6  # a batch never holds a fact twice


def test_retired_facts_are_rehearsed_where_there_is_room() -> None:
    roll, rng = RetirementSchedule(10, KeepRecipe()), stream(0, "test")
    for _ in range(2):
        roll.update([0.1] * 2 + [0.99] * 8)
    drawn = roll.draw(8, rng)
    assert set(drawn[:2]) == {0, 1}
    assert len(drawn) == 2 + 4  # at most half of the batch
    assert set(drawn[2:]) <= set(range(2, 10))
    assert set(roll.draw(2, rng)) == {0, 1}


def test_without_retirement_all_stay() -> None:
    roll, rng = RetirementSchedule(2, KeepRecipe(retire=False)), stream(0, "test")
    for _ in range(2):
        roll.update([0.99, 0.1])
    assert sorted(roll.draw(2, rng)) == [0, 1]


def largest_of(rows: list[tuple[int, int, bool, float, bool | None]]) -> pl.DataFrame:
    """What capacity makes of these cells, a thousandth of a bit a parameter for each fact."""
    names = ("rank", "n_facts", "kept", "recall", "within_budget")
    table = pl.DataFrame(rows, schema=names, orient="row").with_columns(bits_per_parameter=pl.col("n_facts") / 1000)
    return capacity.largest(table).sort("rank")


def test_the_largest_load_held_by_hand() -> None:
    rows = [  # rank, facts, kept, recall, within the budget
        (1, 50, False, 0.99, True),
        (1, 100, False, 0.98, True),
        (1, 50, True, 0.97, True),
        (1, 100, True, 1.0, False),
        (4, 50, False, 1.0, True),
        (4, 100, False, 0.995, False),
        (4, 50, True, 1.0, True),
        (4, 100, True, 0.9, True),
    ]
    found = largest_of(rows)
    assert found.select("rank", "d99", "safe_d99").rows() == [(1, 50, None), (4, 100, 50)]
    assert found["d99_bits_per_parameter"].to_list() == [0.05, 0.1]


def test_a_load_above_one_that_missed_does_not_count_as_what_fits() -> None:
    """The largest load at 99% was taken, whatever the smaller ones had."""
    rows = [  # rank, facts, kept, recall, within the budget; a smaller load is not the first row
        (1, 200, False, 1.0, False),
        (1, 50, False, 1.0, False),
        (1, 100, False, 0.98, False),
        (2, 50, False, 0.9, False),
        (2, 100, False, 1.0, False),
        (1, 50, True, 1.0, True),
        (1, 100, True, 1.0, True),
        (1, 200, True, 0.9, True),
        (1, 400, True, 1.0, True),
        (2, 50, True, 1.0, None),
        (2, 100, True, 1.0, True),
        (4, 50, True, 1.0, True),
        (4, 100, True, 1.0, False),
        (4, 200, True, 1.0, True),
    ]
    found = largest_of(rows)
    assert found.select("rank", "d99", "safe_d99").rows() == [(1, 50, 100), (2, None, None), (4, None, 50)]
    assert found["safe_d99_bits_per_parameter"].to_list() == [0.1, None, 0.05]


@pytest.mark.parametrize(
    ("n", "bits", "told"),
    [
        (None, None, "below 50 facts"),
        (50, 0.02, "50 facts (0.020 bits a parameter)"),
        (200, 0.083, "at least 200 facts (0.083 bits a parameter)"),
    ],
)
def test_the_largest_load_tried_is_a_lower_bound_and_the_smallest_an_upper_one(
    n: int | None, bits: float | None, told: str
) -> None:
    assert _limit_text(n, bits, [200, 50, 100]) == told


def test_the_best_attempt_overruns_by_the_least_in_all_and_of_equals_is_the_first() -> None:
    request = Request(out=Path("out"), budget=Budget(known_lost=0.03, refusals_lost=0.05), reliability=0.99)

    def attempt(reliability: float, known_lost: float, refusals_lost: float | None) -> Attempt:
        shares = (Estimate(known_lost), None if refusals_lost is None else Estimate(refusals_lost))
        return Attempt(Path("a"), KeepRecipe(), Harm(Estimate(reliability), *shares))

    none_learned = attempt(0.5, 0.0, 0.0)  # over by .49
    harmful = attempt(1.0, 0.13, 0.1)  # over by .10 + .05
    near = attempt(0.98, 0.05, None)  # over by .01 + .02
    within = attempt(0.99, 0.03, 0.05)  # at each limit, which is within it
    assert best_of([none_learned, harmful, near], request) is near
    assert best_of([none_learned, harmful], request) is harmful
    assert best_of([near, within, attempt(1.0, 0.0, 0.0)], request) is within
