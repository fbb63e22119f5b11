"""Greedy answers equal transformers' own `generate`, whatever is shared, drafted, batched or retired."""

import random

import pytest
import torch

from architectures import build
from knowpack.decode.decoder import Decoder
from knowpack.decode.ways import Way
from knowpack.errors import ModelError
from knowpack.model.loaded import Loaded, weights_hash
from knowpack.probe.askers import Prompted

NEW = 12


def questions(n: int, seed: int = 0, most: int = 9, vocabulary: int = 211) -> list[list[int]]:
    draw = random.Random(seed)
    return [[draw.randrange(3, vocabulary) for _ in range(draw.randint(1, most))] for _ in range(n)]


def plain(loaded: Loaded, ids: list[int], new: int = NEW) -> list[int]:
    """transformers' generate on one prompt alone, its stop token cut off."""
    with torch.inference_mode():
        out = loaded.model.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            do_sample=False,
            max_new_tokens=new,
        )[0, len(ids) :].tolist()
    return out[:-1] if out and out[-1] in loaded.stop_ids else out


def same(loaded: Loaded, prompt: list[int], found: list[int], expected: list[int]) -> bool:
    """Equal, or different from a place where two logits tie within 1e-4."""
    if found == expected:
        return True
    k = next(
        (i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), min(len(found), len(expected))
    )
    with torch.inference_mode():
        best = loaded.model(torch.tensor([prompt + expected[:k]])).logits[0, -1].topk(2).values
    return bool(best[0] - best[1] < 1e-4)


def check(loaded: Loaded, prefix: list[int], tails: list[list[int]], found: list[list[int]]) -> None:
    assert len(found) == len(tails)
    for tail, answer in zip(tails, found, strict=True):
        expected = plain(loaded, prefix + tail)
        assert same(loaded, prefix + tail, answer, expected), f"got {answer}, generate gives {expected}"


def test_greedy_equals_generate_on_every_architecture(loaded: Loaded) -> None:
    tails = questions(25)
    prefix = questions(1, seed=7, most=20)[0] + [17, 18, 19]
    found = Decoder(loaded, batch_size=8).generate(prefix, tails, max_new_tokens=NEW)
    check(loaded, prefix, tails, found)
    assert {len(answer) for answer in found} - {NEW}, "no answer ended early: the test does not test stopping"


def test_drafts_right_wrong_and_too_long_change_nothing(loaded: Loaded) -> None:
    tails, prefix = questions(24, seed=1), [1, 30, 31, 32, 33]
    decoder = Decoder(loaded, batch_size=7)
    greedy = decoder.generate(prefix, tails, max_new_tokens=NEW)
    check(loaded, prefix, tails, greedy)
    drafts: list[list[int] | None] = []
    for i, answer in enumerate(greedy):
        wrong = [*answer[:2], 77, *answer[3:]]
        drafts.append([answer, wrong, answer + [50, 51] * NEW, None, [], answer[:1], [*answer, 2], [2]][i % 8])
    assert decoder.generate(prefix, tails, max_new_tokens=NEW, drafts=drafts) == greedy


def test_one_new_token_and_a_draft_of_one(llama: Loaded) -> None:
    tails, prefix = questions(5, seed=2), [1, 9, 8]
    decoder = Decoder(llama)
    found = decoder.generate(prefix, tails, max_new_tokens=1)
    assert [len(answer) <= 1 for answer in found] == [True] * 5
    assert decoder.generate(prefix, tails, max_new_tokens=1, drafts=found) == found


def test_empty_tail_reads_its_answer_from_the_prefix(loaded: Loaded) -> None:
    prefix, tails = [1, 30, 31, 32], [[], [50], [50, 51, 52]]
    check(loaded, prefix, tails, Decoder(loaded).generate(prefix, tails, max_new_tokens=NEW))


def test_no_prefix_at_all(llama: Loaded) -> None:
    tails = [[1, 50], [1, 51, 52], [60]]
    check(llama, [], tails, Decoder(llama).generate([], tails, max_new_tokens=NEW))
    with pytest.raises(ModelError, match="BOS"):
        Decoder(llama).generate([], [[]], max_new_tokens=NEW)


def test_no_questions_give_no_answers(llama: Loaded) -> None:
    assert Decoder(llama).generate([1, 2, 3], [], max_new_tokens=NEW) == []


def test_a_prefix_longer_than_a_chunk(llama: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowpack.decode.forward.PREFIX_CHUNK", 5)
    tails, prefix = questions(4, seed=3), questions(1, seed=4, most=1)[0] + [21, 22, 23] * 6
    check(llama, prefix, tails, Decoder(llama).generate(prefix, tails, max_new_tokens=NEW))


def test_batch_size_changes_no_answer(llama: Loaded) -> None:
    tails, prefix = questions(30, seed=5), [1, 40, 60]
    answers = [Decoder(llama, batch_size=n).generate(prefix, tails, max_new_tokens=NEW) for n in (1, 3, 64)]
    assert answers[0] == answers[1] == answers[2]


def test_one_decoder_for_many_prefixes_and_lengths(llama: Loaded) -> None:
    decoder = Decoder(llama, batch_size=5)
    for seed, most in ((1, 4), (2, 30), (3, 6), (1, 4)):  # room for long rows is used again for short ones
        tails, prefix = questions(9, seed=seed, most=most), [1, 30 + seed, 50, 60]
        check(llama, prefix, tails, decoder.generate(prefix, tails, max_new_tokens=NEW))
    decoder.forget()
    check(llama, prefix, tails, decoder.generate(prefix, tails, max_new_tokens=NEW))


def test_out_of_memory_halves_the_batch_and_loses_nothing(llama: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    tails, prefix = questions(40, seed=6), [1, 40, 60]
    expected = Decoder(llama).generate(prefix, tails, max_new_tokens=NEW)
    decoder = Decoder(llama, batch_size=16)
    real = decoder._forward.step

    def short(prefix_, pool, tokens):  # type: ignore[no-untyped-def]
        if pool.n > 7:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(prefix_, pool, tokens)

    monkeypatch.setattr(decoder._forward, "step", short)
    assert decoder.generate(prefix, tails, max_new_tokens=NEW) == expected
    assert decoder.batch_size == 4


def test_an_error_that_is_not_memory_is_not_swallowed(llama: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = Decoder(llama)
    assert decoder._ways.at() is Way.SHARED

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(decoder._forward, "rows", broken)
    with pytest.raises(RuntimeError, match="multiplied"):
        decoder.generate([1, 2], [[3]], max_new_tokens=2)


def test_prompts_that_step_together_answer_as_alone(loaded: Loaded) -> None:
    prefixes = [[1, 30, 31, 32, 33, 34, 35, 36, 37, 38], [1, 60], [1, 40, 41, 42, 43], []]
    asked = [Prompted(prefix, questions(9 + i, seed=i)) for i, prefix in enumerate(prefixes)]
    asked.append(Prompted(prefixes[1], questions(3, seed=8), [[7, 8], None, []]))  # a prefix that was there before
    asked.append(Prompted([1, 99], []))
    for batch_size in (4, 128):
        found = Decoder(loaded, batch_size=batch_size).generate_each(asked, max_new_tokens=NEW)
        for (prefix, tails, _), answers in zip(asked, found, strict=True):
            check(loaded, prefix, tails, [one.ids for one in answers])


def test_own_stop_ids_replace_the_models(llama: Loaded) -> None:
    tails, prefix = questions(6, seed=8), [1, 40]
    free = Decoder(llama).generate(prefix, tails, max_new_tokens=NEW, stop_ids=())
    assert all(len(answer) == NEW for answer in free)
    stop = free[0][3]
    assert (
        Decoder(llama).generate(prefix, tails, max_new_tokens=NEW, stop_ids=[stop])[0] == free[0][: free[0].index(stop)]
    )


def test_weights_attention_and_mode_are_as_before(loaded: Loaded) -> None:
    before, attention = weights_hash(loaded.model), loaded.model.config._attn_implementation
    loaded.model.train()
    Decoder(loaded).generate([1, 5, 6], questions(5), max_new_tokens=4)
    assert loaded.model.training
    assert loaded.model.config._attn_implementation == attention
    assert weights_hash(loaded.model) == before


def test_sampling_is_the_same_in_any_order_and_batch(llama: Loaded) -> None:
    tails, prefix = questions(20, seed=9), [1, 40, 60]
    sampled = Decoder(llama).generate(prefix, tails, max_new_tokens=NEW, temperature=1.0, seed=3)
    turned = Decoder(llama, batch_size=3).generate(prefix, tails[::-1], max_new_tokens=NEW, temperature=1.0, seed=3)
    assert sampled == turned[::-1]
    assert sampled != Decoder(llama).generate(prefix, tails, max_new_tokens=NEW, temperature=1.0, seed=4)
    drafted = Decoder(llama).generate(
        prefix, tails, max_new_tokens=NEW, temperature=1.0, seed=3, drafts=[*sampled[:10], *([[7, 7]] * 10)]
    )
    assert drafted == sampled


def test_sampling_follows_the_models_distribution(llama: Loaded) -> None:
    prefix, n = [1, 40, 60], 4000
    first = [
        answer[0] if answer else -1
        for answer in Decoder(llama).generate(
            prefix, [[50]] * n, max_new_tokens=1, temperature=2.0, seed=0, stop_ids=()
        )
    ]
    with torch.inference_mode():
        expected = torch.softmax(llama.model(torch.tensor([[*prefix, 50]])).logits[0, -1] / 2.0, -1)
    seen = torch.bincount(torch.tensor(first), minlength=211) / n
    assert float((seen - expected).abs().sum()) / 2 < 0.1  # total variation; about 0.06 for 4,000 draws of this


def test_sampling_without_a_seed_is_refused(llama: Loaded) -> None:
    with pytest.raises(ModelError, match="seed"):
        Decoder(llama).generate([1], [[2]], max_new_tokens=2, temperature=0.7)


@pytest.mark.parametrize("drafted", [False, True])
def test_log_probabilities_of_the_answer_are_generates_scores(loaded: Loaded, drafted: bool) -> None:
    tails, prefix = questions(14, seed=3), [1, 30, 31, 32]
    decoder = Decoder(loaded, batch_size=5)
    drafts = [[*answer[:3], 77] for answer in decoder.generate(prefix, tails, max_new_tokens=NEW)] if drafted else None
    (found,) = decoder.generate_each([Prompted(prefix, tails, drafts)], max_new_tokens=NEW)
    for tail, answer in zip(tails, found, strict=True):
        with torch.inference_mode():
            expected = loaded.model.generate(
                torch.tensor([prefix + tail]),
                do_sample=False,
                max_new_tokens=NEW,
                output_scores=True,
                return_dict_in_generate=True,
            )
        new = expected.sequences[0, len(prefix) + len(tail) :]
        scores = [score[0].log_softmax(-1)[token].item() for score, token in zip(expected.scores, new, strict=True)]
        assert answer.logprobs == pytest.approx(scores, abs=2e-4)  # the stop token's too, where one ended it
        assert len(answer.logprobs) == len(answer.ids) + (len(answer.ids) < NEW)


def test_sampled_answers_carry_no_log_probabilities(llama: Loaded) -> None:
    (found,) = Decoder(llama).generate_each([Prompted([1, 9], [[5]])], max_new_tokens=3, temperature=1.0, seed=1)
    assert found[0].logprobs is None


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_that_gives_no_numbers_answers_nothing(way: Way, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The highest of NaN is some token: its text was graded as an answer."""
    broken = build("llama")
    decoder = Decoder(broken)
    monkeypatch.setattr(decoder._ways, "at", lambda *_: way)
    broken.model.get_output_embeddings().weight.data[7].fill_(value)
    for asked in (
        lambda: decoder.generate([1, 30], [[50]], max_new_tokens=2),
        lambda: decoder.generate([1, 30], [[50]], max_new_tokens=2, temperature=1.0, seed=1),
        lambda: decoder.logprobs([1, 30], [[50]], [[9]]),
    ):
        with pytest.raises(ModelError, match=r"llama gives no number \(NaN or infinite\)"):
            asked()
