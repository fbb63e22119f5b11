"""Log-probabilities equal those of the model's plain forward, however requests are grouped."""

import random

import pytest
import torch

from knowpack.model.decode import Decoder
from knowpack.model.forward import Forward
from knowpack.model.load import Loaded
from knowpack.model.score import Request, ScoredContinuation, score, score_with


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


def multiple_choice(n: int = 12, seed: int = 0) -> list[Request]:
    """A few-shot block, questions behind it, choices behind each; one-token choices, and choices that nest."""
    draw = random.Random(seed)
    shots = [[draw.randrange(3, 211) for _ in range(40)] for _ in range(2)]
    requests: list[Request] = []
    for i in range(n):
        context = shots[i % 2] + [draw.randrange(3, 211) for _ in range(draw.randint(1, 8))]
        requests += [(context, [token]) for token in (60, 61, 62, 63)]
        requests += [(context, [60, 70]), (context, [60, 70, 71]), (context, [60, 72]), ([*context, 60], [70, 71])]
    draw.shuffle(requests)
    return requests


def test_choices_equal_plain_forward(loaded: Loaded) -> None:
    requests = multiple_choice(4)
    check(loaded, requests, score(loaded, requests))


def test_every_way_of_grouping_gives_the_same(llama: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = multiple_choice()
    for tree_tokens in (0, 3, 30, 10_000):
        monkeypatch.setattr("knowpack.model.score.TREE_TOKENS", tree_tokens)
        check(llama, requests, score(llama, requests))


def test_small_budgets_make_more_batches_not_other_numbers(llama: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowpack.model.score.LOGITS_AT_ONCE", 211 * 2)
    forward = Forward(llama)
    forward.tokens_at_once = 9
    requests = multiple_choice(4)
    check(llama, requests, score_with(forward, requests))


def test_choices_of_one_context_are_one_row(llama: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, sizes = Forward(llama), []
    assert forward.shared
    real = forward.rows

    def counting(prefix, trees, wanted, **others):  # type: ignore[no-untyped-def]
        sizes.append([len(tree.ids) for tree in trees])
        return real(prefix, trees, wanted, **others)

    monkeypatch.setattr(forward, "rows", counting)
    question = [(list(range(3, 13)), [token]) for token in (60, 61, 62, 63)]
    other = [([*range(3, 10), 100, 101], [token]) for token in (60, 61, 62, 63)]
    score_with(forward, [*question, *other])
    assert sizes == [[7], [2, 3]]  # the shared beginning once; then what differs, once for all four choices


def test_a_context_that_is_the_beginning_of_another(llama: Loaded) -> None:
    ids = list(range(3, 23))
    requests: list[Request] = [(ids[:k], ids[k : k + 3]) for k in range(1, 17)]
    check(llama, requests, score(llama, requests))


def test_equal_requests_and_single_ones(llama: Loaded) -> None:
    requests: list[Request] = [([5], [6])] * 3 + [([5, 6, 7], [8, 9])]
    check(llama, requests, score(llama, requests))
    check(llama, requests[-1:], score(llama, requests[-1:]))
    assert score(llama, []) == []


def test_an_empty_continuation_is_certain_and_an_empty_context_is_refused(llama: Loaded) -> None:
    assert score(llama, [([5], [])]) == [ScoredContinuation(0.0, 0, True, ())]
    with pytest.raises(ValueError, match="BOS"):
        score(llama, [([], [5])])


def test_greedy_is_true_for_what_the_model_would_say(llama: Loaded) -> None:
    answer = Decoder(llama).generate([1, 40], [[50]], max_new_tokens=3, stop_ids=())[0]
    right, wrong = score(llama, [([1, 40, 50], answer), ([1, 40, 50], [answer[0], 7, answer[2]])])
    assert right.greedy
    assert not wrong.greedy


def test_logprobs_behind_a_prefix(loaded: Loaded) -> None:
    prefix, tails = [1, 30, 31, 32], [[50], [50, 51, 52], [], [60, 61]]
    answers = [[7, 8, 9], [10], [11, 12], []]
    found = Decoder(loaded).logprobs(prefix, tails, answers)
    check(loaded, [(prefix + tail, answer) for tail, answer in zip(tails, answers, strict=True)], found)
