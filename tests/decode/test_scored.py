"""Log-probabilities equal those of the model's plain forward, however many rows go together."""

import pytest
import torch

from knowpack.decode.decoder import Decoder
from knowpack.decode.scoring import Request, ScoredContinuation
from knowpack.model.loaded import Loaded


def plain(loaded: Loaded, context: list[int], continuation: list[int]) -> tuple[list[float], bool]:
    """transformers' own forward over the whole sequence."""
    with torch.inference_mode():
        logits = loaded.model(torch.tensor([context + continuation])).logits[0].double().log_softmax(-1)
    places = logits[len(context) - 1 : -1]
    logprobs = [float(place[token]) for place, token in zip(places, continuation, strict=True)]
    return logprobs, [int(place.argmax()) for place in places] == continuation


def check(loaded: Loaded, requests: list[Request], found: list[ScoredContinuation]) -> None:
    assert len(found) == len(requests)
    for (context, continuation), got in zip(requests, found, strict=True):
        logprobs, greedy = plain(loaded, list(context), list(continuation))
        assert got.token_logprobs == pytest.approx(logprobs, abs=1e-4)
        assert got.logprob == pytest.approx(sum(logprobs), abs=1e-4)
        assert (got.greedy, got.n_tokens) == (greedy, len(continuation))


def test_small_budgets_make_more_batches_not_other_numbers(llama: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowpack.decode.scoring.LOGITS_AT_ONCE", 211 * 2)
    prefix, tails = [1, 30, 31], [[50 + k, *range(60, 60 + k)] for k in range(8)]
    answers = [[7, 8, 9][: 1 + k % 3] for k in range(8)]
    decoder = Decoder(llama)
    decoder._forward.tokens_at_once = 9
    found = decoder.logprobs(prefix, tails, answers)
    check(llama, [(prefix + tail, answer) for tail, answer in zip(tails, answers, strict=True)], found)


def test_greedy_is_true_for_what_the_model_would_say(llama: Loaded) -> None:
    answer = Decoder(llama).generate([1, 40], [[50]], max_new_tokens=3, stop_ids=())[0]
    right, wrong = Decoder(llama).logprobs([1, 40], [[50], [50]], [answer, [answer[0], 7, answer[2]]])
    assert right.greedy
    assert not wrong.greedy


def test_logprobs_behind_a_prefix(loaded: Loaded) -> None:
    prefix, tails = [1, 30, 31, 32], [[50], [50, 51, 52], [], [60, 61]]
    answers = [[7, 8, 9], [10], [11, 12], []]
    found = Decoder(loaded).logprobs(prefix, tails, answers)
    check(loaded, [(prefix + tail, answer) for tail, answer in zip(tails, answers, strict=True)], found)
