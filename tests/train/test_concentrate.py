"""Biased mixes by hand: few answers, few subjects, shares that fall with the rank."""

from collections import Counter

import polars as pl
import pytest

from knowpack import records
from knowpack.config import MixConfig
from knowpack.errors import FactsError
from knowpack.records import Fact, Knowledge
from knowpack.train.concentrate import shares
from knowpack.train.mix import mix

SIZES = {"Rome": 12, "Oslo": 8, "Bern": 5, "Kyiv": 1}  # Unknown facts by answer; subjects s0, s1, ... two facts each


def made(seed: int = 1, **settings: object) -> pl.DataFrame:
    answers = [answer for answer, n in SIZES.items() for _ in range(n)]
    facts = records.table(
        [Fact(f"u{i}", f"u{i}?", (answer,), (), f"s{i // 2}", "r", answer) for i, answer in enumerate(answers)], Fact
    )
    known = records.table([Knowledge(f, "default", 10, 0.0, "Unknown", "", 0.0) for f in facts["fact_id"]], Knowledge)
    found = mix(facts, known, MixConfig.model_validate(settings), seed)
    return found.join(facts.select("fact_id", "subject"), on="fact_id")


def test_shares_fall_with_the_rank() -> None:
    assert shares(11, [100, 100, 100], 1.0) == [6, 3, 2]  # 11 in proportion to 1, 1/2, 1/3
    assert shares(12, [100, 100, 100], 0.0) == [4, 4, 4]
    assert shares(7, [100, 100, 100], 2.0) == [5, 1, 1]  # 5.14, 1.29, 0.57: the one left over goes to the largest rest
    assert shares(10, [3, 100, 100], 1.0) == [3, 4, 3]  # 5, 3, 2 first; the 2 that the first has not: 1.2 and .8
    assert shares(9, [2, 2], 1.0) == [2, 2]


def test_few_answers_are_the_most_frequent_ones() -> None:
    found = made(n_unknown=20, n_answers=2)
    assert Counter(found["answer"]) == {"Rome": 12, "Oslo": 8}
    assert set(made(n_unknown=10, n_answers=1)["answer"]) == {"Rome"}


def test_few_subjects() -> None:
    found = made(n_unknown=6, n_subjects=3)
    assert Counter(found["subject"]) == dict.fromkeys(found["subject"], 2)
    assert found["subject"].n_unique() == 3
    assert set(found["subject"]) != set(made(2, n_unknown=6, n_subjects=3)["subject"])  # the seed still varies them


def test_zipf_over_answers() -> None:
    assert Counter(made(n_unknown=11, n_answers=3, zipf=1.0)["answer"]) == {"Rome": 6, "Oslo": 3, "Bern": 2}
    assert Counter(made(n_unknown=12, n_answers=3, zipf=0)["answer"]) == {"Rome": 4, "Oslo": 4, "Bern": 4}


def test_too_few_facts_in_the_groups_is_an_error() -> None:
    with pytest.raises(FactsError, match=r"n_answers=1 leave 12 of 26 facts, mix.n_unknown=13"):
        made(n_unknown=13, n_answers=1)
