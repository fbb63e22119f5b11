"""Small configs of families that came to transformers lately; those that the transformers here does not know are left
out. architectures.py has the others, and builds them."""

from collections.abc import Callable
from typing import Any

import transformers

SMALL: dict[str, Any] = {
    "vocab_size": 211,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
HEAD = {"head_dim": 8}
WINDOW = {"sliding_window": 7, "layer_types": ["sliding_attention", "full_attention"]}
EXPERTS = {"moe_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2}
ROUTED = {"moe_intermediate_size": 16, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1}
LATENT = {
    "num_key_value_heads": 4,
    "q_lora_rank": 16,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
}
GROUPS = {"n_group": 1, "topk_group": 1}
INDEX = {"index_topk": 6, "index_head_dim": 16, "index_n_heads": 2}
DENSE_THEN_SPARSE = {"mlp_layer_types": ["dense", "sparse"]}
LINEAR = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "layer_types": ["linear_attention", "full_attention"],
}

SETTINGS: dict[str, dict[str, Any]] = {
    "afmoe": {**HEAD, **WINDOW, **EXPERTS, "num_shared_experts": 1, "num_dense_layers": 1},
    "cohere2_moe": {**HEAD, **WINDOW, **EXPERTS},
    "cwm": {**HEAD, **WINDOW},
    "deepseek_v32": {**LATENT, **ROUTED, **GROUPS, **INDEX, **DENSE_THEN_SPARSE, **HEAD},
    "doge": {"keep_window_size": 7},
    "exaone_moe": {**WINDOW, **EXPERTS, "num_shared_experts": 1, **DENSE_THEN_SPARSE},
    "gemma4_text": {**HEAD, **WINDOW, "vocab_size_per_layer_input": 211, "hidden_size_per_layer_input": 8},
    "glm4_moe_lite": {**LATENT, **ROUTED, **GROUPS, **DENSE_THEN_SPARSE},
    "glm_moe_dsa": {**LATENT, **ROUTED, **GROUPS, **INDEX, **DENSE_THEN_SPARSE, **HEAD},
    "granite_swa": {**WINDOW, "attention_multiplier": 0.3},
    "granitemoe_swa": {**WINDOW, "num_local_experts": 4, "num_experts_per_tok": 2, "attention_multiplier": 0.3},
    "hy_v3": {**HEAD, **EXPERTS, "num_shared_experts": 1, **DENSE_THEN_SPARSE},
    "hyperclovax": {"attention_multiplier": 0.3, "logits_scaling": 0.5},
    "jais2": {**HEAD},
    "kimi_linear": {
        **LATENT,
        "q_lora_rank": None,
        "moe_intermediate_size": 16,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "linear_head_dim": 8,
        "linear_num_heads": 4,
        "layer_types": ["linear_attention", "full_attention"],
        **DENSE_THEN_SPARSE,
    },
    "laguna": {**HEAD, **WINDOW, **EXPERTS, "shared_expert_intermediate_size": 16},
    "lfm3": {**HEAD, "sliding_window": 7, "layer_types": ["conv", "full_attention"]},
    "longcat_flash": {
        **LATENT,
        "num_layers": 2,
        "ffn_hidden_size": 64,
        "expert_ffn_hidden_size": 16,
        "n_routed_experts": 4,
        "zero_expert_num": 2,
        "moe_topk": 2,
        **HEAD,
    },
    "mellum": {**HEAD, **WINDOW, **EXPERTS},
    "mimo_v2_flash": {**HEAD, **WINDOW, **ROUTED, **GROUPS, "v_head_dim": 8, **DENSE_THEN_SPARSE},
    "modernbert-decoder": {"local_attention": 8, "layer_types": ["sliding_attention", "full_attention"]},
    "olmo_hybrid": {**LINEAR, "linear_num_value_heads": 2},
    "qwen3_5_text": {**HEAD, **LINEAR},
    "qwen3_5_moe_text": {**HEAD, **LINEAR, **EXPERTS, "shared_expert_intermediate_size": 16},
    "solar_open": {**HEAD, **ROUTED, **GROUPS},
    "zamba": {
        "num_key_value_heads": 4,
        "num_hidden_layers": 4,
        "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"],
        "mamba_d_state": 8,
        "mamba_dt_rank": 4,
        "use_mamba_kernels": False,
    },
    "zaya": {**HEAD, **EXPERTS, "num_experts_per_tok": 1, "router_hidden_size": 16},
}


def _maker(kind: str) -> Callable[[], transformers.PreTrainedConfig]:
    return lambda: transformers.AutoConfig.for_model(kind, **{**SMALL, **SETTINGS[kind]})


NEWER = {kind: _maker(kind) for kind in SETTINGS if kind in transformers.CONFIG_MAPPING}
"""Name -> config, as in architectures.MORE."""
