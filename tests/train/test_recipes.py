"""The recipes: which settings each has, how pack's follows the load, when its rate falls, what it adds up."""

import math

import pytest
import torch

from knowpack.config import KeepRecipe, PlainRecipe, RunConfig, StudyConfig
from knowpack.errors import ConfigError
from knowpack.settings import override
from knowpack.train import recipes
from knowpack.train.batch import Row
from knowpack.train.objective import StepBatch, Term, TermInput, terms, total
from knowpack.train.phases import FALL, FULL, Phase, Phases
from knowpack.train.rate import for_move


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["train.recipe=keep", "train.epochs=5"], "unknown key 'train.epochs' (train.recipe=keep)"),
        (["train.epochs=5", "train.recipe=keep"], "unknown key 'train.epochs' (train.recipe=keep)"),
        (["train.recipe=keep", "train.schedule=cosine"], "unknown key 'train.schedule'"),
        (["train.recipe=keep", "train.loss=all"], "unknown key 'train.loss'"),
        (["train.recipe=keep", "train.checkpoint_each_epoch=true"], "unknown key 'train.checkpoint_each_epoch'"),
        (["train.kl_weight=3"], "unknown key 'train.kl_weight' (train.recipe=plain)"),
        (["train.recipe=kep"], "train.recipe is plain or keep"),
        (["train.recipe=keep", "train.max_steps=0"], "train.max_steps: expected at least 1, got 0"),
    ],
)
def test_a_setting_that_the_recipe_does_not_read_is_refused(settings: list[str], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override(RunConfig(), settings)
    assert says in str(caught.value)


def test_another_recipe_drops_the_settings_of_the_first_and_keeps_the_shared_ones() -> None:
    paper = RunConfig(train=PlainRecipe(lr=1e-2, epochs=30, loss="all", checkpoint_each_epoch=True))
    study = StudyConfig(base=paper, cells=({"label": "a"}, {"label": "b", "train.recipe": "keep", "train.top_k": 7}))
    plain, keep = (run.train for run in study.runs())
    assert plain == paper.train
    assert keep == KeepRecipe(lr=1e-2, top_k=7)  # rank, alpha and the rest have the defaults of their recipe
    assert (keep.rank, plain.rank) == (64, 1)
    assert override(study.runs()[1], ["train.rank=3"]).train == KeepRecipe(lr=1e-2, top_k=7, rank=3)
    assert RunConfig.model_validate(study.runs()[1].model_dump(mode="json")).train == keep


def test_pack_follows_the_load_through_what_was_measured_at_50_and_at_500() -> None:
    few, many = recipes.for_load(64, 50), recipes.for_load(128, 500)
    assert few == KeepRecipe()  # the recipe at 50 facts is the default
    # docs/LOG.md: 500 facts, weight 40, 12,000 replay prompts, 3,000 made-up names, 590 steps and 2,850 of fall
    assert many.kl_weight == pytest.approx(40, rel=0.01)
    assert many.n_replay == pytest.approx(12_000, rel=0.01)
    assert many.n_made_up == pytest.approx(3000, rel=0.01)
    assert many.max_steps == pytest.approx(590, rel=0.01)
    assert many.tail_steps == pytest.approx(2850, rel=0.01)


def test_between_the_measured_loads_the_recipe_is_between_and_below_them_it_is_the_smaller() -> None:
    assert recipes.for_load(64, 3) == recipes.for_load(64, 50)
    loads = [recipes.for_load(64, n) for n in (50, 51, 100, 249, 250, 499, 500, 2000)]
    for name in ("n_replay", "n_made_up", "max_steps", "tail_steps", "check_every", "batch_size"):
        values = [getattr(one, name) for one in loads]
        assert values == sorted(values), name
    weights = [one.kl_weight for one in loads]
    assert weights == sorted(weights, reverse=True)
    # a power of the load: what ten times the facts multiply by, their square root multiplies by its square root
    middle = recipes.for_load(64, round(50 * 10**0.5))
    assert middle.n_replay == pytest.approx((5000 * recipes.for_load(64, 500).n_replay) ** 0.5, rel=0.01)


def test_what_is_tried_next_follows_from_what_was_overrun() -> None:
    first = recipes.for_load(64, 50)
    none_learned = recipes.after_a_miss(first, {"reliability": 0.9})
    assert (none_learned.from_layer, none_learned.kl_weight, none_learned.max_steps) == (0.0, 16.0, 600)
    few_missing = recipes.after_a_miss(first, {"reliability": 0.02, "known_lost": 0.1})
    assert few_missing == first.model_copy(update={"kl_weight": 32.0, "max_steps": 400})
    harmed = recipes.after_a_miss(first, {"refusals_lost": 0.01})
    assert harmed == first.model_copy(update={"kl_weight": 128.0})


def walked(recipe: KeepRecipe, settled_after: int | None = None) -> list[Phase]:
    phases, made = Phases(recipe), []
    while (phase := phases.next(settled_after is not None and len(made) >= settled_after)) is not None:
        made.append(phase)
        phases.made()
    return made


def test_the_rate_rises_stays_and_falls_by_hand() -> None:
    recipe = KeepRecipe(lr=1.0, max_steps=4, warmup_ratio=0.5, tail_steps=2)
    full = [Phase(FULL, lr) for lr in (0.5, 1.0, 1.0, 1.0)]
    assert walked(recipe) == [*full, Phase(FALL, 1.0), Phase(FALL, 0.5)]
    assert walked(recipe, settled_after=2) == [*full[:2], Phase(FALL, 1.0), Phase(FALL, 0.5)]
    assert walked(recipe.model_copy(update={"tail_steps": 0})) == full


def test_a_rate_that_falls_does_not_rise_again_when_a_fact_is_lost() -> None:
    phases = Phases(KeepRecipe(lr=1.0, max_steps=9, tail_steps=3))
    assert phases.next(settled=True) == Phase(FALL, 1.0)
    phases.made()
    assert phases.next(settled=False) == Phase(FALL, pytest.approx(2 / 3))


def test_terms_are_weighted_and_one_without_rows_is_left_out() -> None:
    seen = TermInput(StepBatch(0, [], [], []), *(torch.zeros(0, 1),) * 3)
    two, none = Term("two", 0.5, lambda _: torch.tensor(4.0)), Term("none", 9.0, lambda _: None)
    found = total(seen, (two, none))
    assert (found.loss.item(), found.figures) == (2.0, {"two": 4.0})
    assert [term.name for term in terms(KeepRecipe(kl_weight=0))] == ["loss"]
    assert [(term.name, term.weight) for term in terms(KeepRecipe(kl_weight=3))] == [
        ("loss", 1.0),
        ("kl", 3.0),
        ("kl_text", 3.0),
    ]
    assert total(seen, terms(KeepRecipe())).figures == {}


def test_cross_entropy_of_the_new_answers_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0], [0.0, torch.log(torch.tensor(3.0))]])  # p(0) = 1/2, then p(1) = 3/4
    seen = TermInput(StepBatch(0, [Row((5, 0, 1), 1)], [], []), logits, *(torch.zeros(0, 1),) * 2)
    expected = -(torch.log(torch.tensor(0.5)) + torch.log(torch.tensor(0.75))) / 2
    assert total(seen, terms(KeepRecipe())).loss.item() == pytest.approx(expected.item())


def test_the_rate_is_lowered_by_the_root_of_what_its_first_step_moves_too_much() -> None:
    assert for_move(1e-3, moved=0.04, wanted=0.01) == pytest.approx(5e-4)  # KL = c lr^2: four times too far
    assert for_move(1e-3, moved=0.005, wanted=0.01) == 1e-3  # never raised
    assert for_move(1e-3, moved=0.0, wanted=0.01) == 1e-3
    assert for_move(1e-3, moved=math.nan, wanted=0.01) == pytest.approx(1e-4)
