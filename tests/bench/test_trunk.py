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


def test_out_of_memory_halves_the_rows_of_a_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = Loaded(tiny.llama(400), tiny.tokenizer(), "tiny", torch.device("cpu"), "")
    requests = [request([10 + k, *range(50, 80)], [20 + k, 30]) for k in range(9)]  # too long for one tree of all

    def scored() -> dict[int, float]:
        found: dict[int, float] = {}
        done = lambda batch: found.update({one.request: one.logprob for one in batch})  # noqa: E731
        packed.score(Forward(loaded), requests, done=done)
        return found

    expected, real, sizes = scored(), packed._score_rows, []

    def short(forward, batch, prefix):  # type: ignore[no-untyped-def]
        sizes.append(len(batch))
        if len(batch) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(forward, batch, prefix)

    monkeypatch.setattr(packed, "_score_rows", short)
    assert scored() == pytest.approx(expected, abs=1e-4)
    assert max(sizes) > 1, "there was a batch to halve"


def test_out_of_memory_in_a_trunk_halves_the_tokens_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was a traceback: only the rows behind a trunk were halved."""
    loaded = Loaded(tiny.llama(400), tiny.tokenizer(), "tiny", torch.device("cpu"), "")
    requests = [request([*range(10, 50), 60 + k, *range(100, 150)], [20 + k, 30]) for k in range(9)]
    forward, sizes, freed = Forward(loaded), [], []

    def scored() -> dict[int, float]:
        found: dict[int, float] = {}
        done = lambda batch: found.update({one.request: one.logprob for one in batch})  # noqa: E731
        packed.score(forward, requests, done=done, free=lambda: freed.append(len(sizes)))
        return found

    expected, real = scored(), forward.rows

    def short(prefix, trees, targets, *, keep=False):  # type: ignore[no-untyped-def]
        if keep:
            sizes.append(len(trees[0].ids))
            if len(trees[0].ids) > 10:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return real(prefix, trees, targets, keep=keep)

    monkeypatch.setattr(forward, "rows", short)
    assert scored() == pytest.approx(expected, abs=1e-4)
    assert sizes == [40, 20, 10, 10, 10, 10]
    assert freed == [1, 2]
