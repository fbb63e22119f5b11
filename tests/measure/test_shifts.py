"""Shifts counted by hand on a handful of facts."""

import polars as pl
import pytest

from knowpack import records
from knowpack.errors import FactsError
from knowpack.measure import shifts as stage
from knowpack.records import Fact, Figure, Knowledge, Response, Shift

P = {"U": 0.0, "W": 0.0, "M": 0.5, "H": 1.0}
NAME = {"U": "Unknown", "W": "WeaklyKnown", "M": "MaybeKnown", "H": "HighlyKnown"}


def knowledge(letters: str) -> pl.DataFrame:
    """Facts f0, f1, ... with the category of each letter, the same under both graders."""
    rows = [
        Knowledge(f"f{i}", grader, 2, P[c], NAME[c], "", 0.0)
        for grader in ("default", "paper")
        for i, c in enumerate(letters)
    ]
    return records.table(rows, Knowledge)


def facts(n: int, relations: str | None = None) -> pl.DataFrame:
    letters = relations or "abcdefghijklmnopqrstuvwxyz"[:n]
    return records.table(
        [Fact(f"f{i}", "Q", ("A",), (), f"s{i}", f"r{letters[i]}", "o", "D", f"R{i}") for i in range(n)], Fact
    )


def moved(
    before: str, after: str, trained: set[str] | None = frozenset(), table: pl.DataFrame | None = None
) -> pl.DataFrame:
    known = facts(len(before)) if table is None else table
    return stage.shifts(knowledge(before), knowledge(after), trained, known)


def values(found: list[Figure], grader: str = "default") -> dict[str, float]:
    return {figure.name: figure.value for figure in found if figure.grader == grader}


def test_a_shift_is_after_minus_before() -> None:
    found = moved("UH", "HM", {"f0"}).filter(pl.col("grader") == "default")
    assert found.select("fact_id", "trained", "before", "after", "delta_p").rows() == [
        ("f0", True, "Unknown", "HighlyKnown", 1.0),
        ("f1", False, "HighlyKnown", "MaybeKnown", -0.5),
    ]
    assert found.schema == records.schema(Shift)
    assert found["causes"].to_list() == [[], []]


def test_the_six_transitions_are_shares_of_all_facts() -> None:
    before, after = "UUUMMHHHHU", "MHHHUMMUHU"  # the last two stay
    found = values(stage.summary(moved(before, after), facts(10)))
    wanted = {
        "unknown_to_maybe": 0.1,
        "unknown_to_highly": 0.2,
        "maybe_to_highly": 0.1,
        "highly_to_maybe": 0.2,
        "highly_to_unknown": 0.1,
        "maybe_to_unknown": 0.1,
        "positive": 0.4,
        "negative": 0.4,
        "delta_p": (0.5 + 1 + 1 + 0.5 - 0.5 - 0.5 - 0.5 - 1) / 10,
    }
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)


def test_weakly_known_counts_as_unknown_in_the_figures() -> None:
    shift = moved("WHU", "HWW")
    found = values(stage.summary(shift, facts(3)))
    assert found["unknown_to_highly"] == found["highly_to_unknown"] == pytest.approx(1 / 3)


def test_kinship_is_the_nearest_tie_that_holds() -> None:
    rows = [
        Fact("t", "Q", ("A",), (), "Ada", "born", "o", "D", "Place"),
        Fact("subject", "Q", ("A",), (), "Ada", "born", "o", "D", "Place"),
        Fact("relation", "Q", ("A",), (), "Bob", "born", "o", "D", "Place"),
        Fact("range", "Q", ("A",), (), "Bob", "died", "o", "D", "Place"),
        Fact("none", "Q", ("A",), (), "Bob", "wrote", "o", "D", "Book"),
        Fact("nulls", "Q", ("A",)),
    ]
    table = records.table(rows, Fact)
    maps = knowledge("HHHHHH").with_columns(fact_id=pl.Series([row.fact_id for row in rows] * 2))
    found = stage.shifts(maps, maps, {"t"}, table).filter(pl.col("grader") == "default")
    assert dict(found.select("fact_id", "kinship").iter_rows()) == {
        "t": None,
        "subject": "same_subject",
        "relation": "same_relation",
        "range": "same_range",
        "none": "unrelated",
        "nulls": "unrelated",  # two facts without a subject share none
    }


@pytest.mark.parametrize("trained", [None, set()])
def test_without_training_facts_there_is_no_kinship(trained: set[str] | None) -> None:
    found = moved("UH", "HU", trained)
    assert found["kinship"].to_list() == [None] * 4
    assert not found["trained"].any()
    assert not [name for name in values(stage.summary(found, facts(2))) if name.startswith("harm_raw_")]


def test_harm_is_split_by_kinship_and_sums_to_the_whole() -> None:
    table = facts(5, "aabbb").with_columns(subject=pl.lit(None, dtype=pl.String))
    found = stage.summary(moved("UHHHH", "HUHUM", {"f0"}, table), table)
    figures = {figure.name: figure for figure in found if figure.grader == "default"}
    assert figures["harm_raw_same_relation"].value == 1.0  # f1, of one
    assert figures["harm_raw_unrelated"].value == pytest.approx(2 / 3)  # f3 and f4 of f2, f3, f4
    assert figures["harm_raw_same_relation"].n + figures["harm_raw_unrelated"].n == 4


def test_the_shams_own_training_facts_are_left_out_of_its_net() -> None:
    ours, sham = moved("HHHH", "UUHH"), moved("HHHH", "UHUH", {"f0"})
    figures = {f.name: f for f in stage.summary(ours, facts(4), sham=sham) if f.grader == "default"}
    assert figures["harm_net_sham"].n == 3  # f1, f2, f3: ours 1/3, the sham's 1/3
    assert figures["harm_net_sham"].value == pytest.approx(0.0)
    assert figures["sham_harm"].value == pytest.approx(1 / 3)


def test_intervals_are_wider_where_facts_of_a_relation_move_together() -> None:
    before, after = "H" * 40, "U" * 20 + "H" * 20
    together = facts(40, "a" * 10 + "b" * 10 + "c" * 10 + "d" * 10)
    apart = together.with_columns(relation=pl.lit(None, dtype=pl.String))  # each fact its own cluster

    def width(table: pl.DataFrame) -> float:
        found = stage.summary(moved(before, after, set(), table), table)
        harm = next(f for f in found if f.name == "negative" and f.grader == "default")
        assert harm.value == 0.5
        return harm.high - harm.low

    assert width(together) > 2 * width(apart)


def test_reliability_by_hand() -> None:
    after = knowledge("HMUH")  # p = 1, .5, 0, 1
    found = values(stage.reliability(after, None, {"f0", "f1", "f2"}))
    assert found == pytest.approx({"reliability": 0.5, "reliability_any": 2 / 3, "reliability_highly": 1 / 3})


def test_reliability_on_held_out_wordings_reads_forms_above_zero_only() -> None:
    def said(fact_id: str, form: int, right: bool) -> Response:
        return Response(fact_id, 0, form, 0, "", "A" if right else None, None, False, False)

    responses = records.table(
        [said("f0", 0, True), said("f0", 3, True), said("f1", 3, False), said("f9", 3, True)], Response
    )
    found = stage.reliability(knowledge("HH"), responses, {"f0", "f1"})
    assert values(found)["reliability_held_out"] == 0.5
    assert values(found, "paper")["reliability_held_out"] == 0.0


def test_held_out_answers_of_few_facts_that_are_all_right_show_no_more_than_the_facts() -> None:
    """50 right answers to two facts had an interval of fifty facts; reliability beside it that of two."""
    answers = [Response(f, k, 1, 0, "x", "x", "x", False, False, None) for f in ("f0", "f1") for k in range(25)]
    reliability = stage.reliability(knowledge("HH"), records.table(answers, Response), {"f0", "f1"})
    both = [{one.name: one for one in reliability}[name] for name in ("reliability", "reliability_held_out")]
    assert [one.n for one in both] == [2, 50]
    assert [one.low for one in both] == [pytest.approx(0.025**0.5)] * 2
    assert [one.higher_is_better for one in both] == [True, True]


def test_figures_of_shifts_say_which_way_is_better() -> None:
    shifts = moved("HU", "UH")
    better = {one.name: one.higher_is_better for one in stage.summary(shifts, facts(2), sham=shifts)}
    harm = {*stage.NEGATIVE, "negative", "sham_harm", "harm_net_sham"}
    assert {name for name, up in better.items() if not up and not name.startswith("harm_raw_")} == harm
    assert {"positive", "delta_p", "sham_gain", "gain_net_sham", *stage.POSITIVE} <= better.keys()


def test_no_held_out_answers_means_no_figure_not_zero() -> None:
    responses = records.table([Response("f0", 0, 0, 0, "", "A", "A", False, False)], Response)
    assert "reliability_held_out" not in values(stage.reliability(knowledge("H"), responses, {"f0"}))


def test_untested_training_facts_are_an_error() -> None:
    with pytest.raises(FactsError, match="none of the 1 trained facts"):
        stage.reliability(knowledge("H"), None, {"elsewhere"})


def test_maps_over_different_facts_are_an_error() -> None:
    with pytest.raises(FactsError, match="4 rows before, 6 after, 4 in common"):
        stage.shifts(knowledge("UH"), knowledge("UHH"), None, facts(3))
    with pytest.raises(FactsError, match="cover different facts"):
        stage.shifts(knowledge(""), knowledge(""), None, facts(1))


def test_a_map_with_the_same_fact_twice_is_an_error() -> None:
    double = pl.concat([knowledge("U"), knowledge("U")])
    with pytest.raises(FactsError, match="cover different facts"):
        stage.shifts(double, knowledge("UH"), None, facts(2))
