"""A training that ends worse than it began is said."""

from pathlib import Path

import polars as pl
import pytest

from knowpack.config import ModelConfig, PlainRecipe
from knowpack.facts import sources
from knowpack.model.load import load
from knowpack.probe.prompts import Prompter
from knowpack.train.track import ended_worse
from knowpack.train.train import train


def lines(*losses: float) -> list[dict[str, float | int | str]]:
    return [{"step": step, "loss": loss} for step, loss in enumerate(losses, 1)]


@pytest.mark.parametrize("losses", [[2.4, 8.0, 7.6, 7.6], [2.4, *[0.5] * 20, *[7.6] * 10], [1.0, 1.3]])
def test_a_loss_that_ends_above_the_bases_is_told(losses: list[float]) -> None:
    told = ended_worse(lines(*losses))
    assert told is not None
    assert f"{losses[0]:.3g} nats" in told
    assert "lower train.lr" in told


@pytest.mark.parametrize(
    "losses", [[], [2.4], [2.4, 1.0], [2.4, 9.0, 1.0, 0.1, 0.1, 0.1], [2.4, 2.5, 2.6, 2.3], [2.4, 2.9]]
)
def test_a_loss_that_fell_or_only_wavers_is_not(losses: list[float]) -> None:
    assert ended_worse(lines(*losses)) is None


def test_steps_that_saw_no_fact_have_no_loss_that_counts() -> None:
    assert ended_worse([{"step": 1, "kl": 0.1}, *lines(2.4, 1.0), {"step": 4, "kl": 0.9}]) is None


@pytest.mark.parametrize(("kl", "worse"), [(1.9, True), (0.1, False)])
def test_a_model_broken_down_to_guesses_is_told_where_the_base_could_only_guess_the_examples_too(
    kl: float, worse: bool
) -> None:
    """6.42 nats before, 6.5 after: near enough. 1.9 nats from the base on every other fact are not."""
    log = [{"step": 1, "loss": 6.42, "kl": 0.0}, *({"step": 2 + n, "loss": 6.5, "kl": kl} for n in range(9))]
    told = ended_worse(log)
    assert (told is not None) == worse
    if told is not None:
        assert "6.5 over the last 5, 1.9 from the base on what is to be kept" in told


@pytest.mark.parametrize(("kl", "worse"), [(0.06, False), (0.27, False), (0.3, True), (2.0, True)])
def test_a_small_divergence_beside_facts_that_the_base_nearly_knew_is_not(kl: float, worse: bool) -> None:
    """.04 nats before; .002 and .06 are more than a quarter above that, and nothing is lost: e^-.06 = .94. From .04 +
    .25 = .29 on it is."""
    log = [{"step": 1, "loss": 0.04, "kl": 0.0}, *({"step": 2 + n, "loss": 0.002, "kl": kl} for n in range(20))]
    assert (ended_worse(log) is not None) == worse


def test_a_loss_that_rose_by_little_from_next_to_nothing_is_not() -> None:
    assert ended_worse(lines(0.04, *[0.2] * 10)) is None
    assert ended_worse(lines(0.04, *[0.3] * 10)) is not None


def test_training_at_a_learning_rate_of_a_thousand_says_so(tmp_path: Path) -> None:
    loaded = load(ModelConfig(name="lab"))
    facts = sources.load("lab").head(8).select("fact_id", "question", answer=pl.col("answers").list.first())
    examples = facts.select(
        example_id="fact_id", fact_id="fact_id", kind=pl.lit("unknown"), question="question", answer="answer"
    )
    asked = Prompter(loaded.tokenizer)
    with pytest.warns(UserWarning, match="training ended worse than it began"):
        train(loaded, examples, PlainRecipe(lr=1e3, epochs=4), 0, tmp_path / "bad", prompter=asked)
    train(loaded, examples, PlainRecipe(lr=1e-3, epochs=4), 0, tmp_path / "good", prompter=asked)


def test_training_in_float16_says_that_small_gradients_are_lost(tmp_path: Path) -> None:
    loaded = load(ModelConfig(name="lab", dtype="float16"))
    facts = sources.load("lab").head(2).select("fact_id", "question", answer=pl.col("answers").list.first())
    examples = facts.select(
        example_id="fact_id", fact_id="fact_id", kind=pl.lit("unknown"), question="question", answer="answer"
    )
    with pytest.warns(UserWarning, match="use --dtype bfloat16 or float32"):
        train(loaded, examples, PlainRecipe(epochs=1), 1, tmp_path / "a", prompter=Prompter(loaded.tokenizer))
