"""What of a mix can be told before a model is asked; every bound counted by hand."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from knowpack.config import MixConfig
from knowpack.errors import ConfigError, FactsError
from knowpack.records import Category
from knowpack.train.drawable import check
from knowpack.train.mix import mix

FACTS = tiny.facts(30)  # three relations of ten, a subject and an answer each, three wordings beside the question


def refused(wanted: str, extra: pl.DataFrame | None = None, **asked: object) -> None:
    with pytest.raises(FactsError, match=wanted):
        check(FACTS, MixConfig(**asked), extra)  # type: ignore[arg-type]


def test_more_facts_than_the_table_has() -> None:
    check(FACTS, MixConfig(n_unknown=30))
    refused(r"^mix.n_unknown=31 asks for more facts than there are: 30", n_unknown=31)
    with pytest.raises(ConfigError, match="nothing to train on"):
        check(FACTS, MixConfig(n_unknown=0))


def test_extras_take_facts_of_the_same_table() -> None:
    """7 facts and 3 for each of them are 28 of 30; 8 would be 32."""
    check(FACTS, MixConfig(n_unknown=7, n_highly_known=3))
    refused("they are enough for 7", n_unknown=8, n_highly_known=3)
    check(FACTS, MixConfig(n_unknown=8, n_highly_known=3, cap_extra=True))


def test_extras_of_one_relation_are_counted_relation_by_relation() -> None:
    """Ten facts of a relation hold two with four each: six in all, where the whole table would hold 30 // 5 = 6 too;
    with six each a relation holds one, three in all, and the table 30 // 7 = 4."""
    check(FACTS, MixConfig(n_unknown=3, n_highly_known=6, extra_from="same_relation"))
    refused(r"of the relation of each .* enough for 3", n_unknown=4, n_highly_known=6, extra_from="same_relation")


def test_extras_of_a_table_of_their_own() -> None:
    check(FACTS, MixConfig(n_unknown=3, n_highly_known=4), extra=FACTS.head(12))
    refused(r"30 facts and 12 in mix.extra_facts.* enough for 3", FACTS.head(12), n_unknown=4, n_highly_known=4)


def test_more_paraphrases_than_wordings() -> None:
    """Of three wordings the last two are held out."""
    check(FACTS, MixConfig(n_unknown=30, n_paraphrase=1))
    refused("0 of 30 facts have them", n_unknown=1, n_paraphrase=2)


def test_biased_mixes_of_too_few_groups() -> None:
    check(FACTS, MixConfig(n_unknown=4, n_subjects=4, n_answers=4))
    refused(r"^mix.n_subjects=3 leaves at most 3 of 30 facts", n_unknown=4, n_subjects=3)
    refused(r"^mix.n_answers=3 leaves at most 3 of 30 facts", n_unknown=4, n_answers=3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([Category.UNKNOWN, Category.HIGHLY_KNOWN]), min_size=30, max_size=30),
    st.integers(1, 12),
    st.integers(0, 5),
    st.sampled_from(["anywhere", "same_relation"]),
)
def test_whatever_can_be_drawn_is_not_refused_before(known: list[Category], n: int, k: int, extra_from: str) -> None:
    config = MixConfig(n_unknown=n, n_highly_known=k, extra_from=extra_from)  # type: ignore[arg-type]
    table = pl.DataFrame({"fact_id": FACTS["fact_id"], "category": [str(one) for one in known]})
    try:
        mix(FACTS, table.with_columns(grader=pl.lit("default")), config, seed=1)
    except FactsError:
        return
    check(FACTS, config)
