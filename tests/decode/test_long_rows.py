"""Where the length of a row changes how it is computed: answers equal generate's at 2, 500 and 5,000 tokens."""

import warnings

import pytest
import torch
import transformers

from architectures import CONFIGS, ONE_END, of_config
from knowpack.decode.decoder import Decoder
from knowpack.decode.ways import Way
from knowpack.decode.whole_prompts import fresh_positions
from knowpack.model.loaded import Loaded

from .test_architectures import own_scores
from .test_decode import plain

NEW = 4
TINY = {"vocab_size": 211, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, **ONE_END}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1}
PLACES = {"max_position_embeddings": 6000}
LONGROPE = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [6.0] * 4, "rope_theta": 1e4}
ORIGINAL = {"original_max_position_embeddings": 300}
KINDS = {
    "longrope": lambda: transformers.Phi3Config(
        **TINY, **HEADS, **PLACES, **ORIGINAL, rope_parameters={**LONGROPE, **ORIGINAL}
    ),
    "longrope_llama": lambda: transformers.LlamaConfig(
        **TINY, **HEADS, **PLACES, rope_parameters={**LONGROPE, **ORIGINAL, "factor": 20.0}
    ),
    "dynamic": lambda: transformers.LlamaConfig(
        **TINY,
        **HEADS,
        max_position_embeddings=300,
        rope_parameters={"rope_type": "dynamic", "factor": 20.0, "rope_theta": 1e4},
    ),
    "llama4": lambda: transformers.Llama4TextConfig(
        **TINY,
        **HEADS,
        **PLACES,
        head_dim=8,
        intermediate_size_mlp=32,
        num_local_experts=2,
        attention_chunk_size=300,
        interleave_moe_layer_step=2,
        no_rope_layers=[1, 0],
        attn_temperature_tuning=True,
        floor_scale=300,
    ),
    "window": lambda: transformers.MistralConfig(**TINY, **HEADS, **PLACES, sliding_window=300),
    "mamba": lambda: transformers.MambaConfig(
        vocab_size=211, hidden_size=16, num_hidden_layers=1, state_size=4, time_step_rank=2, **ONE_END
    ),
    "jamba": lambda: transformers.JambaConfig(
        **TINY,
        **HEADS,
        **PLACES,
        num_experts=2,
        attn_layer_period=2,
        attn_layer_offset=1,
        mamba_d_state=4,
        mamba_dt_rank=2,
    ),
    "rwkv": lambda: transformers.RwkvConfig(
        vocab_size=211,
        context_length=6000,
        hidden_size=16,
        attention_hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        **ONE_END,
    ),
}


def ids(n: int, seed: int = 0) -> list[int]:
    return torch.randint(3, 211, (n,), generator=torch.Generator().manual_seed(seed)).tolist()


def check(loaded: Loaded, decoder: Decoder, n: int) -> None:
    """One question of n tokens and a shorter one, behind a prefix of half of it."""
    whole = ids(n, n)
    prefix, tails = whole[: n // 2], [whole[n // 2 :], [7]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = decoder.generate(prefix, tails, max_new_tokens=NEW)
        for tail, answer in zip(tails, found, strict=True):
            fresh_positions(loaded.model)
            assert answer == plain(loaded, prefix + tail, NEW)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_answers_are_generates_at_2_and_500_tokens_and_again_at_2(name: str) -> None:
    loaded = of_config(KINDS[name](), name)
    decoder = Decoder(loaded)
    for n in (2, 500, 2, 303):
        check(loaded, decoder, n)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(KINDS))
def test_answers_are_generates_at_5000_tokens(name: str) -> None:
    loaded = of_config(KINDS[name](), name)
    check(loaded, Decoder(loaded), 5000)


@pytest.mark.parametrize("name", ["longrope", "longrope_llama", "dynamic"])
def test_the_self_check_asks_at_the_length_that_is_asked_for(name: str) -> None:
    decoder = Decoder(of_config(KINDS[name](), name))
    assert decoder._ways.at(290) is Way.SHARED, "below the original length prefixes are shared"
    with pytest.warns(UserWarning, match=r"cannot share a prefix in rows of 310 tokens .* computed whole"):
        assert decoder._ways.at(310) is Way.WHOLE
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decoder._ways.at(400) is Way.WHOLE, "said once"
        assert decoder._ways.at(280) is Way.SHARED


def test_scores_past_the_original_length_are_the_models_own() -> None:
    loaded = of_config(KINDS["dynamic"](), "dynamic")
    prefix, tails = ids(280, 1), [ids(40, 2), [5]]
    decoder = Decoder(loaded)
    with pytest.warns(UserWarning, match="in rows of"):
        found = decoder.logprobs(prefix, tails, [[7, 8], [9]])
    for tail, answer, score in zip(tails, ([7, 8], [9]), found, strict=True):
        own = own_scores(loaded, prefix + tail, answer)
        assert score.token_logprobs == pytest.approx(own, abs=2e-3)


def test_longrope_forgets_a_long_row() -> None:
    loaded = of_config(KINDS["longrope"](), "longrope")
    short = torch.tensor([ids(20)])
    with torch.inference_mode():
        before = loaded.model(short).logits
        loaded.model(torch.tensor([ids(400)]))
        fresh_positions(loaded.model)
        loaded.model(torch.tensor([ids(400)]))
        assert torch.equal(loaded.model(short).logits, before)


def test_the_architectures_of_the_fixture_are_small() -> None:
    assert len(CONFIGS) <= 10, "each is run by every test of the decoder; others belong into MORE"


def test_long_rows_are_fewer_at_once_and_answered_as_generate_answers_them() -> None:
    loaded = of_config(KINDS["window"](), "window")
    decoder = Decoder(loaded, batch_size=8)
    prefix, tails = ids(30, 1), [ids(200 + n, n) for n in range(8)]
    found = decoder.generate(prefix, tails, max_new_tokens=NEW, stop_ids=[])
    assert found == [plain(loaded, prefix + tail, NEW) for tail in tails]
    room = decoder._room
    assert room is not None
    # 8 rows of 80 tokens are 640; rows of 207 + 4 tokens fit three times into that, and as many again may join them
    assert (room.n_rows, room.capacity) == (6, 211)
    decoder.generate(prefix, [ids(20, n) for n in range(20)], max_new_tokens=NEW, stop_ids=[])
    assert decoder._room.n_rows == 16, "short ones again in whole batches"
