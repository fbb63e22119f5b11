"""Small random models of several architectures, as transformers makes them."""

from types import SimpleNamespace

import torch
import transformers

from knowpack.model.loaded import Loaded, weights_hash

SIZES = {"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "vocab_size": 211}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
ENDS = {"bos_token_id": 1, "eos_token_id": list(range(2, 211, 4)), "pad_token_id": 0}

CONFIGS = {
    "llama": lambda: transformers.LlamaConfig(**SIZES, **HEADS, **ENDS),
    "llama_tied": lambda: transformers.LlamaConfig(
        **SIZES, num_attention_heads=6, num_key_value_heads=6, tie_word_embeddings=True, **ENDS
    ),
    "mistral": lambda: transformers.MistralConfig(**SIZES, **HEADS, sliding_window=None, **ENDS),
    "mistral_window": lambda: transformers.MistralConfig(**SIZES, **HEADS, sliding_window=7, **ENDS),
    "qwen2": lambda: transformers.Qwen2Config(**SIZES, **HEADS, **ENDS),
    "qwen3": lambda: transformers.Qwen3Config(**SIZES, **HEADS, head_dim=16, **ENDS),
    "gpt_neox": lambda: transformers.GPTNeoXConfig(**SIZES, num_attention_heads=4, **ENDS),
}


def build(name: str, seed: int = 0) -> Loaded:
    """A random model with peaked logits (weights scaled up), so that greedy answers vary and sometimes end."""
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(CONFIGS[name](), attn_implementation="sdpa")
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if weight.ndim == 2 and "embed" not in key:
                weight.mul_(8.0)
    model = model.float().eval()
    tokenizer = SimpleNamespace(eos_token_id=2)
    return Loaded(model, tokenizer, name, torch.device("cpu"), weights_hash(model))  # type: ignore[arg-type]
