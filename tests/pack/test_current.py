"""Facts that stay current: what is an update, what replay may hold, what goes on from an adapter, by hand."""

import shutil
from pathlib import Path

import polars as pl
import pytest
import torch
from scipy.stats import beta

import tiny
from knowpack.cli.pack_options import check_request
from knowpack.config import KeepRecipe
from knowpack.errors import ConfigError, FactsError, ModelError
from knowpack.measure import current
from knowpack.measure.grading import grade_table
from knowpack.measure.knowledge import knowledge_map
from knowpack.pack import overlap, plan, updates
from knowpack.pack.changes import Changes, read_changes
from knowpack.pack.earlier_adapter import EarlierAdapter, check_base, open_earlier
from knowpack.pack.flow import _known_apart
from knowpack.pack.problems import PACKED
from knowpack.pack.request import Request
from knowpack.pack.trial import Trial
from knowpack.pack.upkeep import counts
from knowpack.records import Example, Fact, Response, fact_id_of, table
from knowpack.train import replay_prompts
from knowpack.train.recipes import for_load, to_go_on


def fact(subject: str, answer: str, *wordings: str, relation: str = "mayor", question: str | None = None) -> Fact:
    asked = question or f"Who is the {relation} of {subject}?"
    return Fact(
        fact_id_of("test", subject, relation, answer, asked),
        asked,
        (answer,),
        wordings,
        subject=subject,
        relation=relation,
        object=answer,
    )


def facts_of(*given: Fact) -> pl.DataFrame:
    return table(given, Fact)


def said(answers: dict[str, list[str]], facts: pl.DataFrame, form: int = 0) -> pl.DataFrame:
    """What was answered under prompt 0, 1, ..., graded."""
    asked = [(fact_id, n, text) for fact_id, texts in answers.items() for n, text in enumerate(texts)]
    frame = pl.DataFrame(asked, schema=["fact_id", "prompt", "text"], orient="row")
    graded = grade_table(frame.with_columns(form=pl.lit(form), sample=pl.lit(0)), facts)
    empty = [name for name in Response.__slots__ if name not in graded.columns]
    return graded.with_columns(pl.lit(None).alias(name) for name in empty).select(Response.__slots__)


def test_the_old_answer_is_not_held_in_place_by_replay() -> None:
    old = fact("Ely", "Bo Rand")
    same_question = fact("Ely", "Bo Rand", relation="head", question="who is the mayor of  Ely")
    reworded = fact("Ely ", "Bo Rand", question="Ely is led by whom?")  # the same subject and relation
    another = [fact(f"Town{i}", f"Name{i}") for i in range(40)]
    new = fact("Ely", "Cy Poll", "Ely: its mayor?")
    in_a_wording = fact("Ayr", "Bo Rand", question="Ely: its mayor")
    parts = plan.parts(facts_of(old, same_question, reworded, in_a_wording, *another), facts_of(new), seed=1)
    kept = pl.concat([parts.replay, parts.validation, parts.report])
    assert set(kept["fact_id"]) == {one.fact_id for one in another}
    assert set(parts.about["fact_id"]) == {one.fact_id for one in (old, same_question, reworded, in_a_wording)}
    asked = replay_prompts.prompts(parts.replay, facts_of(new), KeepRecipe(n_replay=40, n_made_up=0), seed=1)
    assert not [question for question in asked["question"] if "Ely" in question]


def test_a_pair_is_about_the_same_by_question_or_by_subject_and_relation() -> None:
    one = fact("Ely", "Bo", "Ely's mayor?")
    others = [fact("Ely", "Cy", question="Led by?"), fact("Ayr", "Bo", question="ely's mayor"), fact("Ayr", "Bo")]
    found = list(overlap.pairs(facts_of(one), facts_of(*others)))
    assert [(pair.other.fact_id, pair.agree) for pair in found] == [
        (others[0].fact_id, False),
        (others[1].fact_id, True),
    ]


WORDINGS = (
    "Who leads Ely?",
    "who leads  the ELY ?!",
    "Who leads Ély?",
    "Who leads O'Ely's",
    "Ely: what is it the",
    "the",
    "A",
    "Who has 1 million?",
    "Who has 1,000,000?",
    "Who came on 14 Mar?",
    "Who came on March 14",
    "Who came on ½ million?",
    "Is it the U.S. A?",
    "Is it C++?",
    "",
    "??",
    "東京",
)


def test_what_a_glance_leaves_out_is_what_normal_forms_would() -> None:
    """The table of facts to keep is not brought into normal form whole, wording by wording, where a glance will do."""
    assert {overlap._may_be_of(text, {"ely", "leads"}) for text in WORDINGS} == {True, False}
    for first in WORDINGS:
        for second in WORDINGS:
            one, other = fact("Ely", "Bo", question=first), fact("Ayr", "Cy", question=second)
            same = bool(overlap._keys(one) & overlap._keys(other))
            assert bool(list(overlap.pairs(facts_of(one), facts_of(other)))) == same, (first, second)
    one, other = fact("The Ely", "Bo", question="a?"), fact("ely", "Cy", question="b?")
    assert list(overlap.pairs(facts_of(one), facts_of(other))), "one subject and relation"


def only(*new: Fact) -> Changes:
    none = facts_of()
    return Changes(facts_of(*new), none, none, {}, [])


def test_an_update_is_a_fact_whose_old_answer_the_base_gives() -> None:
    sure, unsure, unknown, fresh = (fact(name, f"New{name}") for name in ("Ely", "Ayr", "Ham", "Wick"))
    known = facts_of(fact("Ely", "Bo Rand"), fact("Ayr", "Di Lunt"), fact("Ham", "Ed Moss"))
    given = only(sure, unsure, unknown, fresh)
    answers = {
        sure.fact_id: ["Bo Rand", "Bo Rand"],  # HighlyKnown
        unsure.fact_id: ["I do not know.", "Di Lunt"],  # MaybeKnown
        unknown.fact_id: ["Bo Rand", "Di Lunt"],
        fresh.fact_id: ["I do not know.", "I do not know."],
    }
    found = updates.by_tables(given, updates.old_answers(given, known), said(answers, given.new))
    assert [(one.fact_id, one.old, one.source) for one in found] == [
        (sure.fact_id, ("Bo Rand",), "known"),
        (unsure.fact_id, ("Di Lunt",), "known"),
    ]
    assert updates.old_answers(given, known).keys() == {sure.fact_id, unsure.fact_id, unknown.fact_id}


def test_an_answer_that_holds_the_old_and_the_new_one_is_no_update_and_is_counted_once() -> None:
    """A fact stood under `known` and under the updates: one new fact too few, and an answer that never was the old one
    among those that may be left."""
    known_one, moved, new = fact("Ely", "New York"), fact("Ayr", "New York"), fact("Ham", "Di Lunt")
    known = facts_of(fact("Ely", "York"), fact("Ayr", "York"))
    given = only(known_one, moved, new)
    texts = {known_one.fact_id: ["New York"] * 2, moved.fact_id: ["New York", "York"], new.fact_id: ["Bo", "Cy"]}
    answers = said(texts, given.new)
    listed = updates.by_tables(given, updates.old_answers(given, known), answers)
    assert [(one.fact_id, one.old) for one in listed] == [(moved.fact_id, ("York",))]
    trial = Trial(
        *[None] * 7,  # type: ignore[arg-type]
        facts=given.new,
        packed=set(given.new["fact_id"]),
        before=knowledge_map(answers),
        fresh=facts_of(),
        changes=given,
        answers=answers,
        updates=listed,
    )
    n = counts(_known_apart(trial))
    assert (n["new"], n["known"], n["updates"]) == (1, 1, 1)


def test_a_guess_is_no_update() -> None:
    steady, guess, wavering, both, too = (fact(name, "New") for name in ("Ely", "Ayr", "Ham", "Wick", "Stow"))
    given = only(steady, guess, wavering, both, too)
    answers = {
        steady.fact_id: ["Bo Rand", "Bo Rand."],
        guess.fact_id: ["Al Best", "Al Best"],
        wavering.fact_id: ["Bo Rand", "Di Lunt"],
        both.fact_id: ["Ed Moss", "Ed Moss"],
        too.fact_id: ["Ed Moss", "Ed Moss"],
    }
    found = updates.candidates(given, {}, said(answers, given.new))
    assert found == {steady.fact_id: "Bo Rand", guess.fact_id: "Al Best"}  # Ed Moss is said of two: of anybody
    asked = updates.strangers(given.new.head(2), ["Upper Ely", "Lower Ayr", "Old Ham"], seed=0)
    assert asked.height == 2 * updates.N_STRANGERS
    assert not set(asked["question"]) & set(given.new["question"])
    to_anybody = {row: ["Al Best", "Zoe"] for row in asked["fact_id"]}
    sure = updates.by_itself(given, found, asked, said(to_anybody, asked))
    assert [(one.fact_id, one.source) for one in sure] == [(steady.fact_id, "own")]


def test_shares_of_updates_and_of_facts_taken_back_by_hand() -> None:
    one, other = fact("Ely", "Cy Poll"), fact("Ayr", "Flo Hart")
    facts = facts_of(one, other)
    base = said({one.fact_id: ["Bo Rand", "Bo Rand"], other.fact_id: ["I do not know.", "Gus"]}, facts)
    after = said({one.fact_id: ["Cy Poll", "Bo Rand"], other.fact_id: ["I do not know", "Flo Hart"]}, facts)
    right = current.right(after, [one.fact_id])
    assert right is not None
    assert (right.value, right.n) == (0.5, 2)
    # two answers of one fact say as much as one: Beta(.5, 1.5), of half an observation in one
    assert right.low == pytest.approx(beta.ppf(0.025, 0.5, 1.5))
    assert right.high == pytest.approx(beta.ppf(0.975, 1.5, 0.5))
    old = current.old_given(after, {one.fact_id: ("Bo Rand",)})
    assert old is not None
    assert old.value == 0.5
    assert current.old_given(base, {one.fact_id: ("Bo Rand",)}).value == 1.0  # type: ignore[union-attr]
    assert current.returned(base, after).value == 0.5  # type: ignore[union-attr]
    assert current.left_behind(base, after).value == 0.5  # type: ignore[union-attr]
    assert current.right(after, []) is None


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A folder with an adapter of any kind."""
    folder = tmp_path / "somebody"
    folder.mkdir()
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(tiny.llama(400), LoraConfig(r=4, lora_alpha=4, target_modules=["gate_proj"]))
    model.save_pretrained(str(folder))
    return folder


def saved(path: Path, *facts: Fact) -> str:
    facts_of(*facts).write_parquet(path)
    return str(path)


def test_more_facts_against_those_of_the_adapter(first: Path, tmp_path: Path) -> None:
    kept, wrong, gone = fact("Ely", "Bo"), fact("Ayr", "Cy", "A?", "B?", "C?", "D?"), fact("Ham", "Di")
    new = [fact("Ely", "Bo", question="Ely: mayor?"), fact("Ayr", "Flo", "1?", "2?", "3?"), fact("Wick", "Ed")]
    request = Request(
        out=tmp_path / "out",
        facts=saved(tmp_path / "more.parquet", *new),
        onto=str(first),
        earlier=saved(tmp_path / "first.parquet", kept, wrong, gone),
        remove=saved(tmp_path / "gone.parquet", gone),
    )
    found = read_changes(request)
    assert found.earlier["fact_id"].to_list() == [kept.fact_id]
    assert found.removed["fact_id"].to_list() == [gone.fact_id]
    assert found.new["fact_id"].to_list() == [new[1].fact_id, new[2].fact_id]
    assert found.replaced == {new[1].fact_id: ("Cy",)}
    assert [(one.check, one.fact_id) for one in found.problems] == [(PACKED, new[0].fact_id)]
    # where the old answer was trained the new one is; the wording that is held out stays so
    assert found.new["paraphrases"][0].to_list() == ["A?", "B?", "C?", "1?", "2?", "3?"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"facts": "more"}, "give their table with --earlier"),
        ({"facts": "more", "earlier": "first", "remove": "other"}, "not in the adapter"),
        ({"remove": "first", "earlier": "first"}, "takes back all 1 facts"),
        ({"facts": "first", "earlier": "both", "remove": "first"}, "packed and taken back at once"),
    ],
)
def test_what_does_not_go_together_is_one_line(given: dict[str, str], said: str, first: Path, tmp_path: Path) -> None:
    tables = {"more": [fact("Wick", "Ed")], "first": [fact("Ely", "Bo")], "other": [fact("Stow", "Al")]}
    tables["both"] = [fact("Ely", "Bo"), fact("Ayr", "Cy")]
    paths = {name: saved(tmp_path / f"{name}.parquet", *facts) for name, facts in tables.items()}
    request = Request(out=tmp_path / "out", onto=str(first), **{name: paths[one] for name, one in given.items()})  # type: ignore[arg-type]
    with pytest.raises(FactsError, match=said):
        read_changes(request)
    with pytest.raises(ConfigError, match="--onto"):
        read_changes(request.model_copy(update={"onto": None, "remove": paths["first"]}))
    with pytest.raises(ModelError, match="no adapter folder"):
        read_changes(request.model_copy(update={"onto": str(tmp_path / "nowhere")}))


def test_an_adapter_of_another_base_is_refused_before_anything_is_asked(first: Path) -> None:
    from knowpack.model.adapter import read_adapter
    from knowpack.model.loaded import Loaded

    (first / "knowpack.json").write_text('{"base_weights_hash": "1234"}')
    base = Loaded(tiny.llama(400), tiny.tokenizer(), "tiny", torch.device("cpu"), "5678")
    with pytest.raises(ModelError, match="--model"):
        check_base(EarlierAdapter(read_adapter(first), facts_of(), None), base)


def test_what_an_earlier_pack_took_back_is_held_until_it_is_packed_again(first: Path, tmp_path: Path) -> None:
    """The next batch's recipe is for facts to learn, and nobody asked what it did to those taken back."""
    kept, gone, again = fact("Ely", "Bo"), fact("Ayr", "Cy"), fact("Ham", "Di")
    home = tmp_path / "packed"
    home.mkdir()
    first.rename(home / "adapter")
    (home / "pack.json").write_text("{}")
    facts_of(kept).write_parquet(home / "facts.parquet")
    examples = [Example("e", kept.fact_id, "unknown", kept.question, "Bo")]
    table(examples, Example).write_parquet(home / "examples.parquet")
    facts_of(gone, again).write_parquet(home / "taken_back.parquet")
    more = saved(tmp_path / "more.parquet", fact("Wick", "Ed"), fact("Ham", "Flo"))
    found = read_changes(Request(out=tmp_path / "out", facts=more, onto=str(home)))
    assert found.removed["fact_id"].to_list() == [gone.fact_id]
    assert (found.n_removed, found.removed_earlier) == (0, {gone.fact_id})
    assert gone.fact_id in set(found.touched["fact_id"])  # neither replayed as known nor measured as harm


def test_a_folder_beside_the_packed_adapter_is_not_taken_for_it(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """p/mine and p/no-such-folder were read as p/adapter, where p is a pack's folder."""
    home = tmp_path / "packed"
    shutil.copytree(first, home / "adapter")
    first.rename(home / "mine")
    (home / "pack.json").write_text("{}")
    packed = fact("Ely", "Bo")
    facts_of(packed).write_parquet(home / "facts.parquet")
    table([Example("e", packed.fact_id, "unknown", packed.question, "Bo")], Example).write_parquet(
        home / "examples.parquet"
    )
    for onto in (home, home / "adapter", home / "mine" / ".." / "adapter"):
        assert open_earlier(str(onto), None).folder.resolve() == home / "adapter"
    with pytest.raises(FactsError, match="mine does not say which facts it holds"):
        open_earlier(str(home / "mine"), None)
    mine = open_earlier(str(home / "mine"), saved(tmp_path / "mine.parquet", fact("Ayr", "Cy")))
    assert (mine.folder, mine.facts["subject"].to_list()) == (home / "mine", ["Ayr"])
    monkeypatch.chdir(tmp_path)
    for missing in (str(home / "no-such-folder"), "packed/no-such-folder"):
        request = Request(out=tmp_path / "out", onto=missing, facts=str(tmp_path / "mine.parquet"))
        with pytest.raises(ModelError, match=f"no adapter folder {missing}; expected a folder with"):
            open_earlier(missing, str(tmp_path / "mine.parquet"))
        with pytest.raises(ModelError, match=f"no adapter folder {missing}; expected a folder with"):
            check_request(request, "knowpack pack")


def test_going_on_takes_the_steps_of_what_changes() -> None:
    whole = for_load(64, 200)
    few = to_go_on(whole, "lab", 20)
    assert (few.max_steps, few.tail_steps) == (for_load(64, 50).max_steps, for_load(64, 50).tail_steps)
    assert few.n_replay == whole.n_replay
