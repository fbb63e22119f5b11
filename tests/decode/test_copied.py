"""Architectures that cannot share a prefix get the same answers from copied caches, and the user is told."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
import transformers

from knowpack.decode.copied_cache import cache_argument, cache_in
from knowpack.decode.decoder import Decoder
from knowpack.decode.ways import Way
from knowpack.decode.whole_prompts import score_whole
from knowpack.model.loaded import Loaded, weights_hash

from .test_decode import check as check_greedy
from .test_decode import questions
from .test_scored import check as check_scores


def gpt_neo() -> Loaded:
    """GPT-Neo: learned positions, local attention, an attention of its own that knows no interface."""
    torch.manual_seed(0)
    config = transformers.GPTNeoConfig(
        vocab_size=211,
        hidden_size=48,
        num_layers=2,
        num_heads=4,
        attention_types=[[["global", "local"], 1]],
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    tokenizer = SimpleNamespace(eos_token_id=2)
    return Loaded(model, tokenizer, "gpt_neo", torch.device("cpu"), weights_hash(model))  # type: ignore[arg-type]


def test_without_the_interface_caches_are_copied_and_a_warning_says_so() -> None:
    loaded = gpt_neo()
    decoder = Decoder(loaded, batch_size=4)
    with pytest.warns(UserWarning, match="cannot share a prefix"):
        assert decoder._ways.at() is not Way.SHARED
    tails = questions(12)
    for prefix in ([1, 30, 31], []):
        check_greedy(loaded, prefix, tails, decoder.generate(prefix, tails, max_new_tokens=12))
    drafted = decoder.generate([1, 30], tails, max_new_tokens=12, drafts=[[3, 4]] * 12)
    check_greedy(loaded, [1, 30], tails, drafted)


@pytest.mark.parametrize("way", [Way.COPIED, Way.WHOLE])
def test_out_of_memory_halves_the_batch_of_the_slower_ways_too(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, tails = gpt_neo(), questions(12)
    decoder = Decoder(loaded, batch_size=8)
    monkeypatch.setattr(decoder._ways, "at", lambda _: way)
    real = type(loaded.model).forward

    def short(model: torch.nn.Module, input_ids: torch.Tensor, **given: object) -> object:
        if len(input_ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(model, input_ids=input_ids, **given)

    monkeypatch.setattr(loaded.model, "forward", partial(short, loaded.model))
    same = [[3, 4, 5]] * 3  # rows of one length go together
    found = decoder.generate([1, 30], [*tails, *same], max_new_tokens=12)
    monkeypatch.undo()
    assert decoder.batch_size == 2
    check_greedy(loaded, [1, 30], [*tails, *same], found)


def test_out_of_memory_halves_what_is_scored_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = gpt_neo()
    requests = [([1, 30, 31, k], [k + 1, k + 2]) for k in range(3, 15)]
    real = type(loaded.model).forward

    def short(model: torch.nn.Module, input_ids: torch.Tensor, **given: object) -> object:
        if len(input_ids) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(model, input_ids=input_ids, **given)

    monkeypatch.setattr(loaded.model, "forward", partial(short, loaded.model))
    found = score_whole(loaded, requests)
    monkeypatch.undo()
    check_scores(loaded, requests, found)


def test_scores_without_the_interface() -> None:
    loaded = gpt_neo()
    tails = [*questions(6), [4]]
    answers = [*([50, *tail] for tail in tails[:-1]), []]
    with pytest.warns(UserWarning, match="cannot share a prefix"):
        found = Decoder(loaded).logprobs([1, 30, 31], tails, answers)
    assert found[-1].n_tokens == 0
    requests = [([1, 30, 31, *tail], answer) for tail, answer in zip(tails, answers, strict=True)]
    check_scores(loaded, requests[:-1], found[:-1])


def test_cache_is_given_by_the_name_the_model_knows() -> None:
    class Old(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, past_key_values: object = None) -> None: ...

    class New(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, cache: object = None) -> None: ...

    assert [cache_argument(Old()), cache_argument(New())] == ["past_key_values", "cache"]


def test_cache_is_read_by_the_name_the_model_knows_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """transformers warns, in the middle of our bars, where an output's cache is read by its old name."""
    loaded = gpt_neo()
    with torch.inference_mode():
        output = loaded.model(input_ids=torch.tensor([[1, 2, 3]]), use_cache=True)
    with caplog.at_level("WARNING", logger="transformers"):
        assert cache_in(loaded.model, output).get_seq_length() == 3
    assert not caplog.records
