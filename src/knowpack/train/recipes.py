"""The keep recipe for a model and a load of facts, and what it tries next where a budget was missed.

model, rank, number of facts -> KeepRecipe; a recipe and how far its adapter overran the budget -> the next recipe.
"""

import math
from collections.abc import Mapping

from knowpack.config import KeepRecipe, PlainRecipe

LAB_MODEL = "lab"
MANY_MISSING = 0.1  # of the packed facts, beyond what --reliability allows
FIRST_MOVE = 0.12
"""Nats by which a trial step at 2e-3 moves SmolLM2's answers (.096 to .104 in three trials), and room for noise."""
MEASURED = 50  # facts; the recipe at 500 is measured too (docs/benchmarks/pack.md)


def most_steps(recipe: PlainRecipe | KeepRecipe, n_rows: int) -> int:
    """Training steps over n_rows examples; of the keep recipe the most, where no fact settles early."""
    if isinstance(recipe, PlainRecipe):
        return recipe.epochs * math.ceil(n_rows / recipe.batch_size)
    return recipe.max_steps + recipe.tail_steps


def for_model(model: str, rank: int, n_facts: int) -> KeepRecipe:
    """The first recipe that is tried. model: its name; the lab's, of 2 million parameters, has one of its own."""
    return for_load(rank, n_facts) if model == LAB_MODEL else real_for_load(rank, n_facts)


def real_for_load(rank: int, n_facts: int) -> KeepRecipe:
    """For models that were trained on real text, SmolLM2-135M being where it was chosen (docs/LOG.md, "Real models").

    Each step costs fifty times one of the lab's model, and facts are learned in fewer: an eighth of the weight on the
    replay, the upper half of the layers, a sixth of the replay, half as many steps. The rate is SmolLM2's, and falls on
    models that one step moves farther than it (FIRST_MOVE).
    """
    load = max(1.0, n_facts / MEASURED)
    return KeepRecipe(
        rank=rank,
        alpha=rank,
        from_layer=0.5,
        lr=2e-3,
        first_move=FIRST_MOVE,
        batch_size=16,
        kl_weight=8.0,
        n_replay=round(800 * load**0.38),
        n_made_up=100,
        n_other_forms=120,
        short_forms=True,
        n_texts=32,
        n_contexts=4,
        by_question=0.33,
        replay_batch=32,
        max_steps=round(80 * load**0.47),
        tail_steps=round(80 * load),
        check_every=max(10, n_facts // 50),  # a check asks all facts twice: up to 100 rows a step, at any load
    )


def for_load(rank: int, n_facts: int) -> KeepRecipe:
    """The recipe as it stands (what it reaches, and misses, on the lab: docs/benchmarks/pack.md).

    Measured at 50 and at 500 facts. Between and beyond, powers of the load: through both points,
    kl_weight 64 -> 40, n_replay 5,000 -> 12,000, n_made_up 1,500 -> 3,000, max_steps 200 -> 590 and
    tail_steps 250 -> 2,850. Many facts are never certain at the full learning rate, so that nearly all of their steps
    are its fall; and more of what the base knows stands in their way, so that more of it is replayed, with a little
    less weight on each.
    """
    load = max(1.0, n_facts / MEASURED)
    return KeepRecipe(
        rank=rank,
        alpha=rank,
        batch_size=32 if n_facts < 250 else 64,
        kl_weight=round(64 / load**0.204, 1),
        n_replay=round(5000 * load**0.38),
        n_made_up=round(1500 * load**0.3),
        max_steps=round(200 * load**0.47),
        tail_steps=round(250 * load**1.0569),
        check_every=max(10, n_facts // 12),
    )


def to_go_on(recipe: KeepRecipe, model: str, n_changed: int) -> KeepRecipe:
    """The recipe of all facts together, for an adapter that holds them but for n_changed: as many steps as those take.

    What is held is certain at the first checks and leaves the batches; what stands beside the batches is for the whole.
    """
    fewer = for_model(model, recipe.rank, n_changed)
    steps = {name: min(getattr(recipe, name), getattr(fewer, name)) for name in ("max_steps", "tail_steps")}
    return recipe.model_copy(update=steps)


def after_a_miss(last: KeepRecipe, over: Mapping[str, float]) -> KeepRecipe:
    """What is tried after an attempt that overran the budget by `over`: learn harder, or hold more.

    Where many facts are missing (text unlike what the base was trained on, a heavy load) the last quarter of the layers
    is too little: all layers, a quarter of the weight, three times the steps (docs/LOG.md, "Real facts").
    """
    short = max(over.get(name, 0.0) for name in ("reliability", "earlier", "old_left"))
    if short > MANY_MISSING:
        return last.model_copy(
            update={"from_layer": 0.0, "kl_weight": last.kl_weight / 4, "max_steps": 3 * last.max_steps}
        )
    if short > 0:
        return last.model_copy(update={"kl_weight": last.kl_weight / 2, "max_steps": 2 * last.max_steps})
    return last.model_copy(update={"kl_weight": 2 * last.kl_weight})
