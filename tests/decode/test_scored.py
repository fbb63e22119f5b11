"""Log-probabilities equal those of the model's plain forward, however many rows go together."""

import pytest
import torch

from knowpack.decode.decoder import Decoder
from knowpack.decode.scoring import Request, ScoredContinuation
from knowpack.decode.ways import Way
from knowpack.errors import ModelError
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


def test_out_of_memory_halves_the_rows_that_are_scored_at_once(llama: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix, tails = [1, 30, 31], [[50 + k, *range(60, 60 + k % 4)] for k in range(20)]
    answers = [[7, 8, 9][: 1 + k % 3] for k in range(20)]
    decoder = Decoder(llama)
    assert decoder._ways.at(10) is Way.SHARED
    real, sizes = decoder._forward.rows, []

    def short(prefix_, trees, targets, *, keep=False):  # type: ignore[no-untyped-def]
        sizes.append(len(trees))
        if len(trees) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(prefix_, trees, targets, keep=keep)

    monkeypatch.setattr(decoder._forward, "rows", short)
    found = decoder.logprobs(prefix, tails, answers)
    assert sizes == [1, 20, 10, 5, 5, 5, 5]  # the prefix; too many twice, then no more than fit
    monkeypatch.undo()
    check(llama, [(prefix + tail, answer) for tail, answer in zip(tails, answers, strict=True)], found)


def test_no_room_for_one_row_is_one_line_and_other_errors_are_not_swallowed(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = Decoder(llama)
    assert decoder._ways.at(3) is Way.SHARED
    for error, expected, words in (
        (torch.OutOfMemoryError("CUDA out of memory"), ModelError, "one prompt at a time"),
        (RuntimeError("shapes cannot be multiplied"), RuntimeError, "multiplied"),
    ):

        def broken(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("knowpack.decode.scoring._score_rows", broken)
        with pytest.raises(expected, match=words):
            decoder.logprobs([1], [[2], [3]], [[4], [5]])


def limited(decoder: Decoder, monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """A machine with room for so many tokens of one row; -> how many there were in each forward of one row."""
    real, sizes = decoder._forward.rows, []

    def short(prefix_, trees, targets, *, keep=False):  # type: ignore[no-untyped-def]
        if len(trees) == 1:
            sizes.append(len(trees[0].ids))
            if len(trees[0].ids) > most:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return real(prefix_, trees, targets, keep=keep)

    monkeypatch.setattr(decoder._forward, "rows", short)
    return sizes


def test_out_of_memory_in_a_shared_prefix_halves_the_tokens_computed_at_once(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a traceback: the rows behind a prefix were halved, and the prefix itself was not."""
    prefix, tails, answers = [1, *range(30, 38)], [[50, 51], [60]], [[7, 8], [9]]
    decoder = Decoder(llama)
    assert decoder._ways.at(20) is Way.SHARED
    sizes = limited(decoder, monkeypatch, 3)
    found = decoder.logprobs(prefix, tails, answers)
    assert sizes == [9, 4, 2, 2, 2, 2, 1]
    monkeypatch.undo()
    check(llama, [(prefix + tail, answer) for tail, answer in zip(tails, answers, strict=True)], found)


def test_a_prefix_without_room_for_one_token_is_one_line(llama: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = Decoder(llama)
    assert decoder._ways.at(20) is Way.SHARED
    limited(decoder, monkeypatch, 0)
    for asked in (
        lambda: decoder.logprobs([1, 30], [[50], [60]], [[7], [9]]),
        lambda: decoder.generate([1, 30], [[50], [60]], max_new_tokens=2),
    ):
        with pytest.raises(ModelError, match="out of memory with one token of a prefix at a time"):
            asked()


def test_out_of_memory_in_the_trial_of_a_way_says_nothing_about_the_way(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model was called one that cannot share a prefix, and asked in a way that takes more memory."""
    decoder = Decoder(llama)
    limited(decoder, monkeypatch, 0)
    with pytest.raises(ModelError, match="out of memory"):
        decoder.logprobs([1, 30], [[50]], [[7]])
    monkeypatch.undo()
    assert decoder._ways.at() is Way.SHARED
