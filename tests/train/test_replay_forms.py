"""Replay prompts in other forms than questions; every expected prompt written out by hand."""

from knowpack.config import KeepRecipe
from knowpack.further.other_forms import other_forms
from knowpack.records import Fact, table
from knowpack.train import replay_prompts
from knowpack.train.replay_prompts import OTHER_FORM, in_other_forms


def capital(country: str, city: str) -> Fact:
    return Fact(country, f"What is the capital of {country}?", (city,), subject=country, relation="capital")


PLACES = [capital("Peru", "Lima"), capital("Ecuador", "Quito"), capital("Chile", "Santiago"), capital("Cuba", "Havana")]
LISTED = Fact("listed", "Is the lamp sold in shops?", ("No",))


def test_claims_are_false_and_true_in_turn_and_every_third_prompt_is_a_sentence() -> None:
    two_answers = table([*PLACES[:2], PLACES[2]], Fact)  # of Peru's wrong answers one of two is drawn
    asked = in_other_forms(two_answers, 3, seed=0)["question"].to_list()
    assert asked[0] in {
        f"What is the capital of Peru? Is it {city}? Answer yes or no." for city in ("Quito", "Santiago")
    }
    assert asked[1] == "What is the capital of Ecuador? Is it Quito? Answer yes or no."
    assert asked[2] == "The capital of Chile is"


def test_no_claim_is_made_of_a_fact_that_yes_or_no_answers() -> None:
    assert in_other_forms(table([LISTED], Fact), 5, seed=0).is_empty()


def test_a_fact_without_any_wrong_answer_at_hand_gives_no_false_claim() -> None:
    assert in_other_forms(table([PLACES[0]], Fact), 5, seed=0).is_empty()


def test_no_prompt_has_the_words_by_which_the_report_asks() -> None:
    facts = table(PLACES * 6, Fact)
    held = in_other_forms(facts, 24, seed=0)["question"].to_list()
    pairs = other_forms(facts, facts, ("Rain fell.",), 0)
    in_report = [fact.question for kind in ("yes_no", "statement") for fact, _ in pairs[kind]]
    assert len(held) == 24
    assert not set(held) & set(in_report)
    for words in ("right answer to", "Complete the sentence"):
        assert all(words in question for question in in_report if question.startswith(words[:2]))
        assert not any(words in question for question in held)


def test_the_recipe_says_how_many_and_packed_facts_are_in_none() -> None:
    facts = table(PLACES, Fact)
    prompts = replay_prompts.prompts(facts, facts.head(1), KeepRecipe(n_replay=1, n_made_up=0, n_other_forms=2), 0)
    formed = prompts.filter(prompts["why"] == OTHER_FORM)
    assert formed.height == 2
    assert not any("Peru" in question or "Lima" in question for question in formed["question"])
    assert prompts.height == 3
