"""Categories by hand: shares of right answers over prompts."""

import polars as pl
import pytest

from knowpack import records
from knowpack.errors import FactsError
from knowpack.measure import knowledge
from knowpack.records import Response


def responses(answers: dict[str, list[str]], sampled: dict[str, list[str]] | None = None) -> pl.DataFrame:
    """A text that starts with "yes" is right, "no info" refuses, "paper" is right under the paper's grader only."""
    rows = []
    for fact_id, texts in answers.items():
        rows += [_row(fact_id, prompt, 0, text) for prompt, text in enumerate(texts)]
    for fact_id, texts in (sampled or {}).items():
        rows += [_row(fact_id, 0, sample + 1, text) for sample, text in enumerate(texts)]
    return records.table(rows, Response)


def _row(fact_id: str, prompt: int, sample: int, text: str) -> Response:
    right = "yes" if text.startswith("yes") else None
    by_paper = "yes" if text.startswith(("yes", "paper")) else None
    refused = text == "no info"
    return Response(fact_id, prompt, 0, sample, text, right, by_paper, refused, refused)


def categories(frame: pl.DataFrame, grader: str = "default") -> dict[str, str]:
    mine = knowledge.knowledge_map(frame).filter(pl.col("grader") == grader)
    return dict(mine.select("fact_id", "category").iter_rows())


def test_none_some_all_right() -> None:
    frame = responses({"u": ["no", "no"], "m": ["yes", "no"], "h": ["yes", "yes"]})
    assert categories(frame) == {"u": "Unknown", "m": "MaybeKnown", "h": "HighlyKnown"}


def test_nine_of_ten_is_not_highly_known() -> None:
    assert categories(responses({"f": ["yes"] * 9 + ["no"]})) == {"f": "MaybeKnown"}


def test_graders_decide_each_for_itself() -> None:
    frame = responses({"f": ["paper", "paper"]})
    assert categories(frame) == {"f": "Unknown"}
    assert categories(frame, "paper") == {"f": "HighlyKnown"}


def test_a_right_sample_makes_unknown_weakly_known_and_lifts_nothing_else() -> None:
    frame = responses(
        {"u": ["no"], "w": ["no"], "h": ["yes"]}, {"u": ["no", "no"], "w": ["no", "yes"], "h": ["no", "no"]}
    )
    assert categories(frame) == {"u": "Unknown", "w": "WeaklyKnown", "h": "HighlyKnown"}
    found = knowledge.knowledge_map(frame).filter(pl.col("grader") == "default")
    assert found["p_sampled"].to_list() == [0.0, 0.5, 0.0]
    assert found["n"].to_list() == [1, 1, 1]  # samples are not greedy answers


def test_without_sampling_p_sampled_is_missing_not_zero() -> None:
    assert knowledge.knowledge_map(responses({"f": ["no"]}))["p_sampled"].to_list() == [None, None]


def test_top_answer_is_normalised_and_a_tie_goes_to_the_lower_prompt() -> None:
    frame = responses({"a": ["x", "The Paris!", "paris"], "tie": ["two", "one", "one", "two"], "late": ["b", "a"]})
    found = knowledge.knowledge_map(frame).filter(pl.col("grader") == "default")
    assert dict(found.select("fact_id", "top_answer").iter_rows()) == {"a": "paris", "tie": "two", "late": "b"}


def test_tie_goes_to_the_lower_prompt_whatever_order_the_rows_come_in() -> None:
    frame = responses({"f": ["first", "second"]}).reverse()
    assert knowledge.knowledge_map(frame)["top_answer"].to_list() == ["first", "first"]


def test_share_of_refusals() -> None:
    found = knowledge.knowledge_map(responses({"f": ["no info", "no", "yes", "no info"]}))
    assert found["p_refused"].to_list() == [0.5, 0.5]
    assert found["p_correct"].to_list() == [0.25, 0.25]


def test_paraphrases_do_not_count_in_the_map() -> None:
    frame = responses({"f": ["no"]})
    reworded = frame.with_columns(form=pl.lit(1), matched_default=pl.lit("yes"))
    assert categories(pl.concat([frame, reworded.select(frame.columns).cast(frame.schema)])) == {"f": "Unknown"}


def test_empty_input_raises() -> None:
    empty = responses({})
    with pytest.raises(FactsError, match="no greedy answers"):
        knowledge.knowledge_map(empty)
    with pytest.raises(FactsError, match="empty knowledge map"):
        knowledge.summary(knowledge.knowledge_map(responses({"f": ["no"]})).clear())


def test_only_samples_are_no_map() -> None:
    with pytest.raises(FactsError, match="no greedy answers"):
        knowledge.knowledge_map(responses({}, {"f": ["yes"]}))


def test_summary_counts_and_leaves_out_a_category_that_was_not_measured() -> None:
    frame = responses({"a": ["no"], "b": ["no"], "c": ["no"], "d": ["yes"]})
    found = knowledge.summary(knowledge.knowledge_map(frame)).filter(pl.col("grader") == "default")
    assert found.select("category", "n", "share").rows() == [
        ("Unknown", 3, 0.75),
        ("MaybeKnown", 0, 0.0),
        ("HighlyKnown", 1, 0.25),
    ]
    # Wilson for 3 of 4, by hand: centre (.75 + 3.8415/8)/(1 + 3.8415/4) = .62746, half-width .32669
    assert found["low"][0] == pytest.approx(0.3006, abs=1e-3)
    assert found["high"][0] == pytest.approx(0.9544, abs=1e-3)
    sampled = knowledge.summary(knowledge.knowledge_map(responses({"a": ["no"]}, {"a": ["no"]})))
    assert sampled["category"].to_list().count("WeaklyKnown") == 2
