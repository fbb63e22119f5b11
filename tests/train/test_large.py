"""What many facts must not cost: nothing that is worked out at each step, or for nothing, grows with the table."""

from pathlib import Path

import pytest
import test_keep
import test_train
import torch
import transformers

from knowpack.config import PlainRecipe, TrainConfig
from knowpack.probe.prompts import Prompter
from knowpack.train import lora, lower, order, recipes
from knowpack.train.batch import Row
from knowpack.train.shared import answer_logits
from knowpack.train.train import train


def test_the_order_of_an_epoch_is_worked_out_once_and_not_at_each_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    of_epoch = order.of_epoch

    def counted(lengths: list[int], config: PlainRecipe, seed: int, epoch: int) -> list[int]:
        asked.append(epoch)
        return of_epoch(lengths, config, seed, epoch)

    monkeypatch.setattr(order, "of_epoch", counted)
    ours = test_train.loaded()
    config = PlainRecipe(rank=2, epochs=3, batch_size=2, lr=1e-2)
    result = train(ours, test_train.some_examples(11), config, 7, tmp_path, prompter=Prompter(ours.tokenizer))
    assert len(result.log) == 3 * 6  # 11 rows are 6 batches
    assert asked == [0, 1, 2]


@pytest.mark.parametrize(("n_facts", "every"), [(50, 10), (500, 10), (3000, 60), (20_000, 400)])
def test_a_check_of_all_facts_takes_as_much_of_a_step_at_any_load(n_facts: int, every: int) -> None:
    recipe = recipes.real_for_load(64, n_facts)
    assert recipe.check_every == every
    assert 2 * n_facts / recipe.check_every <= 100  # two rows a fact and check, beside the 48 of each step


def test_rows_beyond_the_room_for_hidden_states_are_not_computed_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lower, "NUMBERS_KEPT", 1)
    monkeypatch.setattr(lower, "ROWS_AT_ONCE", 2)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(test_keep.CONFIGS["llama"])
    context, rows = (7, 8, 9), [Row((n, n + 1, n + 2, n + 3), 2) for n in range(10, 50, 4)]
    with lora.adapted(model, TrainConfig(rank=3, alpha=6, from_layer=0.5), 1) as tuned:
        logits = lower.Logits(tuned, first=1)
        assert logits.skips
        passed: list[int] = []  # tokens through the lowest layer
        below = tuned.get_base_model().base_model
        getattr(below, "layers")[0].register_forward_pre_hook(  # noqa: B009
            lambda _, given, named: passed.append((given[0] if given else named["hidden_states"]).shape[1]),
            with_kwargs=True,
        )
        logits.prepare(context, rows)
        # the trial of `skips` has filled the room: of the ten rows none is computed, nor their context
        assert passed == []
        torch.testing.assert_close(logits(context, rows), answer_logits(tuned, context, rows), rtol=1e-4, atol=1e-5)
