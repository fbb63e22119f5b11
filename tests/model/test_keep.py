"""The parts of the keep recipe against plain transformers and hand arithmetic, on random models."""

import math

import pytest
import torch
import transformers

from knowpack.model.batch import Row
from knowpack.model.replay import Held, divergence
from knowpack.model.shared import answer_logits, places

SIZE = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4}
WIDE = {**SIZE, "intermediate_size": 32, "max_position_embeddings": 64}
CONFIGS = {
    "llama": transformers.LlamaConfig(**WIDE, num_key_value_heads=2),
    "mistral": transformers.MistralConfig(**WIDE, num_key_value_heads=2, sliding_window=6),
    "qwen": transformers.Qwen2Config(**WIDE, num_key_value_heads=2),
    "neox": transformers.GPTNeoXConfig(**WIDE),
    "gemma2": transformers.Gemma2Config(**WIDE, num_key_value_heads=2, head_dim=4),  # caps its logits
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_shared_context_gives_the_logits_of_whole_rows(kind: str) -> None:
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(CONFIGS[kind]).eval()
    context = [3, 4, 5, 6, 7, 8, 9, 10, 11]
    rows = [Row((1, 2, 3, 4, 5), 3), Row((9, 8, 7), 1)]
    whole = [model(input_ids=torch.tensor([context + list(row.ids)])).logits[0] for row in rows]
    # targets 4, 5 after places 2, 3 of the first row; 8, 7 after places 0, 1 of the second
    expected = torch.stack([whole[0][9 + 2], whole[0][9 + 3], whole[1][9 + 0], whole[1][9 + 1]])
    torch.testing.assert_close(answer_logits(model, context, rows), expected, atol=1e-5, rtol=0)
    alone = torch.stack([model(input_ids=torch.tensor([row.ids])).logits[0, row.n_prompt - 1] for row in rows])
    torch.testing.assert_close(answer_logits(model, (), rows)[[0, 2]], alone, atol=1e-5, rtol=0)
    assert places(rows).targets.tolist() == [4, 5, 8, 7]


def test_gradients_flow_through_the_context() -> None:
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(CONFIGS["llama"])
    rows, context = [Row((1, 2, 3), 1), Row((4, 5), 1)], [7, 8, 9]
    answer_logits(model, context, rows).sum().backward()
    shared = model.get_input_embeddings().weight.grad[context].clone()
    model.zero_grad()
    for row in rows:
        ids = torch.tensor([context + list(row.ids)])
        model(input_ids=ids).logits[0, 2 + row.n_prompt : 2 + len(row.ids)].sum().backward()
    torch.testing.assert_close(shared, model.get_input_embeddings().weight.grad[context], atol=1e-4, rtol=1e-3)


def test_divergence_by_hand_with_all_tokens_and_with_the_rest_as_one() -> None:
    base, adapted = torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([[0.5, 0.3, 0.2]])
    whole = Held(Row((0, 1), 1), torch.tensor([[0, 1, 2]]), base.log())
    kl = 0.7 * math.log(0.7 / 0.5) + 0.2 * math.log(0.2 / 0.3) + 0.1 * math.log(0.1 / 0.2)
    assert divergence(adapted.log(), [whole]).item() == pytest.approx(kl, abs=1e-6)
    top = Held(Row((0, 1), 1), torch.tensor([[0]]), base[:, :1].log())
    lumped = 0.7 * math.log(0.7 / 0.5) + 0.3 * math.log(0.3 / 0.5)
    assert divergence(adapted.log(), [top]).item() == pytest.approx(lumped, abs=1e-6)


def test_divergence_is_zero_where_nothing_changed() -> None:
    logits = torch.randn(3, 10)
    held = Held(
        Row((0, 1, 1, 1), 1),
        *(x if x.is_floating_point() else x.int() for x in reversed(logits.log_softmax(-1).topk(4))),
    )
    assert divergence(logits, [held]).item() == pytest.approx(0.0, abs=1e-5)  # fmt: skip
