"""Every architecture of tests/architectures.py answers and scores as transformers itself, or ends in one line."""

import warnings

import pytest
import torch

from architectures import CONFIGS, MORE, build
from knowpack.decode.decoder import Decoder
from knowpack.decode.scoring import ScoredContinuation
from knowpack.decode.whole_prompts import fresh_positions
from knowpack.errors import ModelError
from knowpack.model.loaded import Loaded

from .test_decode import plain, questions, same

NEW = 6
Asked = tuple[list[list[int]], list[ScoredContinuation]]
REFUSED = {"xlstm": "cannot be asked by generate: ValueError: matC_old has wrong shape"}
"""transformers itself cannot generate from these configs."""


def asked(
    loaded: Loaded, prefix: list[int], tails: list[list[int]]
) -> tuple[list[list[int]], list[ScoredContinuation]]:
    decoder = Decoder(loaded, batch_size=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which way is slower is another test's subject, and transformers' own advice
        found = decoder.generate(prefix, tails, max_new_tokens=NEW)
        return found, decoder.logprobs(prefix, tails, [[7, 8, 9]] * len(tails))


def expected(loaded: Loaded, ids: list[int]) -> list[int]:
    """generate on a model that was asked nothing before: dynamic NTK remembers."""
    fresh_positions(loaded.model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return plain(loaded, ids, NEW)


def own_scores(loaded: Loaded, ids: list[int], continuation: list[int]) -> list[float]:
    """The model's own forward over all but the last token, which is only asked for."""
    fresh_positions(loaded.model)
    with torch.inference_mode():
        logits = (
            loaded.model(torch.tensor([ids + continuation[:-1]])).logits[0, len(ids) - 1 :].double().log_softmax(-1)
        )
    return [float(place[token]) for place, token in zip(logits, continuation, strict=True)]


def test_at_least_sixty_architectures() -> None:
    assert len(CONFIGS | MORE) >= 60


@pytest.mark.parametrize("name", sorted(CONFIGS | MORE))
def test_answers_are_generates_and_scores_the_models_own(name: str) -> None:
    loaded = build(name)
    prefix, tails = questions(1, seed=7, most=20)[0] + [17, 18, 19], [*questions(2), [40, 41, 42, 43, 44]]
    if name in REFUSED:
        with pytest.raises(ModelError, match=REFUSED[name]) as refused:
            asked(loaded, prefix, tails)
        assert "\n" not in str(refused.value)
        return
    answers, scores = asked(loaded, prefix, tails)
    for tail, answer, score in zip(tails, answers, scores, strict=True):
        ids = prefix + tail
        wanted = expected(loaded, ids)
        assert same(loaded, ids, answer, wanted), f"got {answer}, generate gives {wanted}"
        assert score.token_logprobs == pytest.approx(own_scores(loaded, ids, [7, 8, 9]), abs=2e-3)


def test_two_rows_at_once_are_answered_as_each_alone_where_transformers_mixes_them_up() -> None:
    loaded = build("rwkv")
    both = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])
    mixed = loaded.model.generate(both, do_sample=False, max_new_tokens=NEW)[:, 4:].tolist()
    alone = [expected(loaded, row) for row in both.tolist()]
    assert mixed != alone, "transformers mends it: rows may go together again"
    assert asked(loaded, [], both.tolist())[0] == alone
