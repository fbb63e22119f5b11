"""The forward rounds its number of tokens up; what is rounded up must not become part of a trunk."""

import pytest
import torch

import tiny
from knowpack.decode import packed, products
from knowpack.decode.forest import request
from knowpack.decode.forward import Forward
from knowpack.model.loaded import Loaded


@pytest.mark.parametrize("length", [37, 173, 341])
def test_a_trunk_of_any_length_scores_as_the_model_itself(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "onednn_is_faster", products.has_onednn)  # where it is there, it rounds
    model = tiny.llama(400)
    draw = torch.Generator().manual_seed(length)

    def ids(n: int) -> list[int]:
        return torch.randint(6, 400, (n,), generator=draw).tolist()

    trunk = ids(length)
    pairs = [([*trunk, *ids(20)], ids(12)) for _ in range(60)]
    loaded = Loaded(model, tiny.tokenizer(), "tiny", torch.device("cpu"), "")
    found: dict[int, float] = {}
    packed.score(
        Forward(loaded),
        [request(context, answer) for context, answer in pairs],
        done=lambda batch: found.update({one.request: one.logprob for one in batch}),
    )
    for i, (context, answer) in enumerate(pairs):
        with torch.no_grad():
            expected = model(torch.tensor([context + answer])).logits[0].log_softmax(-1)
        places = range(len(context) - 1, len(context) + len(answer) - 1)
        whole = sum(float(expected[place, token]) for place, token in zip(places, answer, strict=True))
        assert found[i] == pytest.approx(whole, abs=1e-4)
