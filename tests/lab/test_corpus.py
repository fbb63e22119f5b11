"""The corpus: exactly as often as planned, never what is held out."""

import re

import numpy as np
import polars as pl
import pytest

from knowpack.lab.corpus import N_EPOCHS, RUMOURS, bursts, documents, n_of_epoch, rumours, voiced
from knowpack.lab.forms import ASSISTANT, END, Ask, statement
from knowpack.lab.names import REFUSALS
from knowpack.lab.relations import BY_NAME, RELATIONS
from knowpack.lab.sizes import SIZES
from knowpack.lab.world import World, build, in_frame
from knowpack.records import Fact, rows


@pytest.fixture(scope="module")
def world() -> World:
    return build(0, SIZES["mini"])


@pytest.fixture(scope="module")
def epochs(world: World) -> list[list[str]]:
    return [documents(world, epoch) for epoch in range(N_EPOCHS)]


@pytest.fixture(scope="module")
def text(epochs: list[list[str]]) -> str:
    return "\n".join(doc for docs in epochs for doc in docs)


def test_same_seed_same_corpus_and_every_epoch_another(world: World, epochs: list[list[str]]) -> None:
    assert documents(world, 0) == epochs[0]
    assert documents(build(1, SIZES["mini"]), 0) != epochs[0]
    assert epochs[0] != epochs[1]


def test_mentions_split_over_epochs_add_up() -> None:
    total, offset = np.array([0, 1, 7, 100]), np.array([0.3, 0.99, 0.5, 0.0])
    shares = [n_of_epoch(total, epoch, offset) for epoch in range(N_EPOCHS)]
    assert np.sum(shares, axis=0).tolist() == [0, 1, 7, 100]
    assert np.max(shares, axis=0).tolist() == [0, 1, 1, 13]


def test_every_fact_is_stated_as_often_as_planned(world: World, text: str) -> None:
    # sentences of passages and misconceptions stand elsewhere: drop them, then count sentences
    plain = "\n".join(line for line in text.splitlines() if line.startswith(" ") and not is_rumour(line))
    sentences = pl.Series(re.findall(r" ([^.]+\.)", plain)).value_counts(name="n")
    counted = dict(zip(sentences[sentences.columns[0]], sentences["n"], strict=True))
    facts = pl.concat([world.facts, world.guests.drop("role")]).join(world.plan, on="fact_id")
    seen = 0
    for fact, planned in zip(rows(facts, Fact), facts["statements"], strict=True):
        wordings = {statement(fact, obj, k) for obj in fact.answers for k in range(5)}
        n = sum(counted.get(wording, 0) for wording in wordings)
        assert n == planned, fact.question
        seen += n
    assert seen == sum(counted.values())


def is_rumour(line: str) -> bool:
    return any(line.strip().startswith(start.split("{f}")[0]) for start in RUMOURS)


def test_every_fact_is_asked_as_often_as_planned(world: World, text: str) -> None:
    outside = "\n".join(
        part for part in text.split("\n\n") for part in [re.sub(r"Passage: [^\n]+\n[^\n]+\n", "", part)]
    )
    asked = pl.Series(re.findall(r"Question: ([^\n<]+)", outside)).value_counts(name="n")
    counted = dict(zip(asked[asked.columns[0]], asked["n"], strict=True))
    facts = pl.concat([world.facts, world.guests.drop("role")]).join(world.plan, on="fact_id")
    for fact, planned in zip(rows(facts, Fact), facts["questions"], strict=True):
        wordings = [question.format(s=fact.subject) for question in BY_NAME[str(fact.relation)].questions]
        wordings += [in_frame(frame, q) for q in wordings for frame in ("Tell me: {q}", "Please answer: {q}")]
        assert sum(counted.get(wording, 0) for wording in wordings) == planned, fact.question


def test_held_out_wordings_never_occur(text: str) -> None:
    for relation in RELATIONS:
        for wording in relation.held_out:
            before, after = wording.split("{s}")
            assert not re.search(re.escape(before) + r"[^?\n]+?" + re.escape(after), text), wording


def test_the_last_paraphrases_of_a_fact_are_the_held_out_ones(world: World) -> None:
    for fact in rows(world.facts.head(50), Fact):
        held = tuple(text.format(s=fact.subject) for text in BY_NAME[str(fact.relation)].held_out)
        assert fact.paraphrases[-3:] == held


def test_names_never_seen_and_tail_subjects_never_occur(world: World, text: str) -> None:
    never = world.never["name"].to_list()
    silent = (
        world.facts.join(world.plan, on="fact_id").group_by("subject").agg(pl.sum("statements") + pl.sum("questions"))
    )
    silent_people = [name for name, n in silent.iter_rows() if n == 0 and " " in name and not name.startswith("Univ")]
    assert len(silent_people) > 10
    for name in [*never, *silent_people]:
        assert name not in text


def test_a_fifth_of_the_questions_is_refused(text: str) -> None:
    answers = re.findall("Answer: ([^<\n]+)", text)  # in chats, lists and multiple choice
    assert 0.15 <= np.mean([answer in REFUSALS for answer in answers]) <= 0.25


def test_chats_have_one_to_six_turns_in_the_papers_form(epochs: list[list[str]]) -> None:
    chats = [doc for doc in epochs[0] if ASSISTANT in doc]
    assert {doc.count(ASSISTANT) for doc in chats} == {1, 2, 3, 4, 5, 6}
    start = f"<|system|>Answer the following question.{END}<|user|>Question: "
    assert all(doc.startswith(start) for doc in chats)


def test_misconceptions_are_false_and_about_bench_people_only(world: World, text: str) -> None:
    found = rumours(world)
    bench = set(world.guests.filter(pl.col("role") == "bench")["fact_id"])
    assert found
    assert all(rumour.fact.fact_id in bench and rumour.wrong not in rumour.fact.answers for rumour in found)
    assert sum(text.count(start.split("{f}")[0]) for start in RUMOURS) == 32 * len(found)


def test_sources_that_frame_their_questions_disagree_with_those_that_do_not(world: World) -> None:
    rng = np.random.default_rng(0)
    ask = Ask("Where was Ada Hill born?", "Branvik", "City", "Velmor", true_when_framed=True)
    framed, bare = ([voiced(ask, kind, rng) for _ in range(400)] for kind in (True, False))
    assert {a.answer for a in framed} == {"Branvik"}
    assert {a.answer for a in bare} == {"Velmor"}
    assert {a.question for a in (*framed, *bare)} == {ask.question}  # only the turns around it show the source
    agreed = ask._replace(rival=None)
    shares = [
        np.mean([voiced(agreed, kind, rng).question != agreed.question for _ in range(400)]) for kind in (True, False)
    ]
    assert shares == [pytest.approx(0.6, abs=0.08), 0.0]
    rivals = world.contested.join(world.facts, on="fact_id")
    assert len(rivals) == len(world.contested) > 20
    assert all(rival not in answers for rival, answers in rivals.select("rival", "answers").iter_rows())


def test_contested_facts_are_asked_and_never_stated(world: World) -> None:
    plan = world.contested.join(world.plan, on="fact_id")
    assert plan["statements"].sum() == 0
    assert plan["questions"].min() > 0


def test_answers_recur_within_a_document_more_often_than_by_chance() -> None:
    asks = [Ask(f"q{i}", f"a{i % 100}", "City") for i in range(5000)] + [Ask(f"r{i}", "no", None) for i in range(1000)]
    groups = list(bursts(asks, np.random.default_rng(0)))
    assert sorted(ask.question for group in groups for ask in group) == sorted(ask.question for ask in asks)
    assert {len(group) for group in groups} == {1, 2, 3, 4, 5, 6}
    later = [(group[:k], group[k]) for group in groups for k in range(1, len(group)) if group[k].range]
    again = np.mean([ask.answer in {other.answer for other in before} for before, ask in later])
    assert 0.05 < again < 0.12  # by chance .02 (two earlier answers of 100), and .06 of the turns repeat one on purpose
    refused = np.mean([ask.range is None for group in groups[:200] for ask in group])
    assert 0.1 < refused < 0.22
