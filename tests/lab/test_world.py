"""The world: same seed, same world; the facts fit the seam; names and wordings are kept apart."""

import hashlib
from itertools import combinations

import polars as pl
import pytest

from knowpack.errors import ConfigError
from knowpack.lab import files, names
from knowpack.lab.relations import BY_NAME, RELATIONS
from knowpack.lab.sizes import SIZES, size_of
from knowpack.lab.world import World, build
from knowpack.measure.normalised import normalise
from knowpack.records import Fact, schema

MINI = SIZES["mini"]


@pytest.fixture(scope="module")
def world() -> World:
    return build(0, MINI)


def digest(world: World) -> str:
    tables = (world.facts, world.guests, world.plan, world.refused, world.never)
    return hashlib.sha256("".join(table.write_ndjson() for table in tables).encode()).hexdigest()


def test_same_seed_same_world_byte_for_byte(world: World) -> None:
    assert digest(build(0, MINI)) == digest(world)
    assert digest(build(1, MINI)) != digest(world)


def test_facts_have_the_schema_of_records(world: World) -> None:
    assert world.facts.schema == schema(Fact)
    assert world.facts["fact_id"].is_unique().all()
    assert world.facts["source"].unique().to_list() == ["lab"]


def test_the_shipped_world_is_the_size_the_paper_has() -> None:
    facts = files.facts()
    assert 18_000 <= facts.height <= 22_000  # the paper: 21,036 questions
    assert facts["relation"].n_unique() == len(RELATIONS) >= 12
    assert facts["domain"].n_unique() >= 5
    assert set(facts["popularity"]) == {"head", "torso", "tail"}
    ranges = [relation.range for relation in RELATIONS]
    assert any(ranges.count(name) >= 2 for name in ranges)


def test_every_fact_has_trainable_and_held_out_wordings() -> None:
    for question, paraphrases in files.facts().select("question", "paraphrases").iter_rows():
        assert len(paraphrases) >= 10 + 3, "the last three are held out"
        assert len({question, *paraphrases}) == 1 + len(paraphrases)


def test_shots_and_strangers_are_not_about_entities_of_the_facts() -> None:
    subjects = set(files.facts()["subject"])
    assert files.shots().height >= 200
    assert files.never_seen().height >= 300
    for question in [*files.shots()["question"], *files.never_seen()["question"]]:
        words = question.rstrip("?").split()
        assert not {" ".join(words[i : i + 2]) for i in range(len(words) - 1)} & subjects


def test_known_and_unknown_people_are_built_from_the_same_name_parts() -> None:
    world = files.world()
    said = world.plan.filter(pl.col("statements") > 0)["fact_id"]
    people = world.facts.filter(pl.col("domain") == "Person")
    known = people.filter(pl.col("fact_id").is_in(said.implode()))["subject"].unique()
    unknown = people.filter(~pl.col("subject").is_in(known.implode()))["subject"].unique()
    parts = {part for name in known for part in name.split()}
    assert len(unknown) > 1000
    assert all(part in parts for name in unknown for part in name.split())


def test_no_answer_is_found_inside_another_of_its_class_by_the_raw_substring_match() -> None:
    for pool in files.world().pools.values():
        for one, other in combinations([name.lower() for name in pool], 2):
            assert one not in other, (one, other)
            assert other not in one, (one, other)


def test_aliases_resolve_to_one_canonical_name() -> None:
    owner: dict[str, str] = {}
    for answers in files.facts()["answers"]:
        for alias in answers:
            assert owner.setdefault(normalise(alias), answers[0]) == answers[0]
    universities = files.facts().filter(pl.col("range") == "University")["answers"]
    assert all(first == f"University of {second.removesuffix(' University')}" for first, second in universities)


def test_popularity_follows_a_power_law_from_hundreds_of_mentions_to_none() -> None:
    world = files.world()
    mentions = world.plan["statements"] + world.plan["questions"]
    assert mentions.max() >= 200
    assert (mentions == 0).mean() >= 0.4
    counts = pl.concat([world.facts["subject"], world.facts["object"]]).value_counts(sort=True)["count"]
    assert counts[0] > 10 * counts[len(counts) // 2]


def test_refusals_hold_the_word_the_paper_looks_for() -> None:
    assert sum("information" in text for text in names.REFUSALS) > len(names.REFUSALS) / 2


def test_a_size_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"'huge' does not exist; choose one of mini, small, medium"):
        size_of("huge")


def test_every_relation_says_who_and_what() -> None:
    for relation in BY_NAME.values():
        assert all("{s}" in text and "{o}" not in text for text in (*relation.questions, *relation.held_out))
        assert all("{s}" in text and "{o}" in text for text in relation.statements)
