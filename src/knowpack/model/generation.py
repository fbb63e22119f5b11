"""What a checkpoint's generation config asks for and this decoder does not do: answers here are greedy.

transformers model -> the settings that are left out. They are said once when the model is loaded, and recorded with the
answers: the same model under `transformers.generate`, which reads them, may answer otherwise. Where transformers'
generate is asked, they are put aside for as long.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SAMPLING = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "typical_p": 1.0}
"""Read where do_sample is set; the values that change nothing."""
ALWAYS = {
    "repetition_penalty": 1.0,
    "encoder_repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "num_beams": 1,
    "min_length": 0,
    "min_new_tokens": 0,
    "guidance_scale": 1.0,
    "penalty_alpha": 0.0,
    "bad_words_ids": None,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "forced_bos_token_id": None,
    "sequence_bias": None,
}
"""Read by greedy decoding, too."""


def left_out(model: "PreTrainedModel") -> dict[str, object]:
    """Setting -> value, as the generation config has them; those that would change nothing are not named."""
    config = getattr(model, "generation_config", None)
    settings: dict[str, object] = {}
    if getattr(config, "do_sample", None):
        settings = {"do_sample": True, **_unlike(config, SAMPLING)}
    return settings | _unlike(config, ALWAYS)


@contextmanager
def put_aside(model: "PreTrainedModel", *, pad: int, ends: int | Sequence[int] | None = None) -> Iterator[None]:
    """Within, `generate` of the model, and of peft's around it, goes by its arguments alone: a config that is given it
    fills up from the model's own, penalties and all. ends: the tokens that end an answer; None: none does."""
    from transformers import GenerationConfig

    neutral = GenerationConfig(pad_token_id=pad, eos_token_id=ends)  # type: ignore[no-untyped-call]
    with patch.object(model, "generation_config", neutral):
        yield


def message_about(settings: dict[str, object], name: str) -> str:
    """One line about them."""
    named = ", ".join(f"{key}={value}" for key, value in settings.items())
    return f"answers are greedy: the generation config of {name} asks for {named[:200]}, which is not done"


def _unlike(config: object, neutral: Mapping[str, object]) -> dict[str, object]:
    values = {key: getattr(config, key, None) for key in neutral}
    return {key: value for key, value in values.items() if value is not None and value != neutral[key]}
