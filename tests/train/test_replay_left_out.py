"""Relations and subjects that no replay prompt is about, counted in the prompts themselves."""

import polars as pl
import pytest

from knowpack.config import KeepRecipe
from knowpack.errors import ConfigError
from knowpack.records import Fact, table
from knowpack.train import replay_prompts

RELATIONS = [f"relation{i}" for i in range(8)]
SUBJECTS = [f"{first} {last}" for first in ("Ada", "Bo", "Cy", "Di", "Ed") for last in ("Orr", "Paz", "Ray", "Sol")]
FACTS = table(
    [
        Fact(f"{s}-{r}", f"What is the {r} of {s}?", ("x",), subject=s, relation=r, domain="Person")
        for s in SUBJECTS
        for r in RELATIONS
    ],
    Fact,
)
PACKED = FACTS.head(3)


def replayed(seed: int = 0, **shares: float) -> pl.DataFrame:
    recipe = KeepRecipe(n_replay=1000, n_made_up=40, **shares)
    return replay_prompts.prompts(FACTS, PACKED, recipe, seed)


def relations_in(prompts: pl.DataFrame) -> set[str]:
    """By the questions' own words: of facts and of made-up names alike."""
    return {question.split()[3] for question in prompts["question"]}


def test_no_prompt_is_about_a_relation_that_is_left_out_nor_words_a_made_up_name_so() -> None:
    prompts = replayed(no_replay_relations=0.25)
    assert len(relations_in(prompts)) == 6  # of 8
    assert relations_in(prompts.filter(pl.col("why") == replay_prompts.MADE_UP)) <= relations_in(prompts)
    assert relations_in(replayed()) == set(RELATIONS)
    assert len({frozenset(relations_in(replayed(seed, no_replay_relations=0.25))) for seed in range(5)}) > 1


def test_no_prompt_is_about_a_subject_that_is_left_out() -> None:
    prompts = replayed(no_replay_subjects=0.1).filter(pl.col("why") != replay_prompts.MADE_UP)
    about = FACTS.filter(pl.col("fact_id").is_in(prompts["fact_id"].to_list()))
    assert about["subject"].n_unique() == 18  # of 20
    assert relations_in(prompts) == set(RELATIONS)


def test_a_small_share_leaves_out_one_and_facts_without_a_relation_stay() -> None:
    assert len(relations_in(replayed(no_replay_relations=0.01))) == 7
    bare = FACTS.with_columns(relation=pl.lit(None, dtype=pl.String))
    assert replay_prompts.prompts(bare, PACKED, KeepRecipe(n_made_up=0, no_replay_relations=0.5), 0).height == 157


def test_nothing_left_to_replay_is_said() -> None:
    one = FACTS.filter(pl.col("relation") == "relation0")
    with pytest.raises(ConfigError, match="leave none of 20 facts"):
        replay_prompts.prompts(one, PACKED, KeepRecipe(no_replay_relations=0.2), 0)
