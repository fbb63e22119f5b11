"""Small random models of many architectures, as transformers makes them."""

from types import SimpleNamespace

import torch
import transformers

from knowpack.model.loaded import Loaded, weights_hash
from newer_architectures import NEWER

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


FEW = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "vocab_size": 211}
ONE_END = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
PLACES = {"max_position_embeddings": 256}
SMALL = {**FEW, **HEADS, **ONE_END, **PLACES}
EXPERTS = {"moe_intermediate_size": 16}
GPT = {"vocab_size": 211, "n_positions": 256, "n_embd": 32, "n_layer": 2, "n_head": 4}
LATENT = {
    **SMALL,
    "num_key_value_heads": 4,
    "q_lora_rank": 16,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
}
ROUTED = {"n_routed_experts": 4, "num_experts_per_tok": 2, "topk_group": 1, "first_k_dense_replace": 1}
MAMBA = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_n_groups": 2, "mamba_chunk_size": 8}
STATE = {"vocab_size": 211, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, **ONE_END}
LONG = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [4.0] * 4, "rope_theta": 1e4}

MORE = {
    "qwen2_window": lambda: transformers.Qwen2Config(
        **SMALL, use_sliding_window=True, sliding_window=7, max_window_layers=1
    ),
    "gemma": lambda: transformers.GemmaConfig(**SMALL, head_dim=8),
    "gemma2": lambda: transformers.Gemma2Config(**SMALL, head_dim=8, sliding_window=7),
    "gemma3": lambda: transformers.Gemma3TextConfig(
        **SMALL, head_dim=8, sliding_window=7, layer_types=["sliding_attention", "full_attention"]
    ),
    "gemma3n": lambda: transformers.Gemma3nTextConfig(
        **{**SMALL, "num_hidden_layers": 4},
        head_dim=8,
        sliding_window=7,
        vocab_size_per_layer_input=211,
        hidden_size_per_layer_input=8,
        laurel_rank=4,
        num_kv_shared_layers=2,
        layer_types=["sliding_attention", "full_attention"] * 2,
        activation_sparsity_pattern=[0.0] * 4,
    ),
    "cohere": lambda: transformers.CohereConfig(**SMALL),
    "cohere2": lambda: transformers.Cohere2Config(
        **SMALL, sliding_window=7, layer_types=["sliding_attention", "full_attention"]
    ),
    "phi": lambda: transformers.PhiConfig(**SMALL),
    "phi3": lambda: transformers.Phi3Config(**SMALL),
    "stablelm": lambda: transformers.StableLmConfig(**SMALL),
    "gptj": lambda: transformers.GPTJConfig(**GPT, rotary_dim=4, **ONE_END),
    "gpt2": lambda: transformers.GPT2Config(**GPT, **ONE_END),
    "gpt_neo": lambda: transformers.GPTNeoConfig(
        vocab_size=211,
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        attention_types=[[["global", "local"], 1]],
        window_size=7,
        max_position_embeddings=256,
        **ONE_END,
    ),
    "gpt_bigcode": lambda: transformers.GPTBigCodeConfig(**GPT, **ONE_END),
    "bloom": lambda: transformers.BloomConfig(vocab_size=211, hidden_size=32, n_layer=2, n_head=4, **ONE_END),
    "opt": lambda: transformers.OPTConfig(
        vocab_size=211,
        hidden_size=32,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        word_embed_proj_dim=32,
        **ONE_END,
    ),
    "mpt": lambda: transformers.MptConfig(
        vocab_size=211, d_model=32, n_layers=2, n_heads=4, max_seq_len=256, **ONE_END
    ),
    "falcon": lambda: transformers.FalconConfig(
        vocab_size=211, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, **ONE_END
    ),
    "falcon_alibi": lambda: transformers.FalconConfig(
        vocab_size=211,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        alibi=True,
        multi_query=False,
        **ONE_END,
    ),
    "nemotron": lambda: transformers.NemotronConfig(**SMALL),
    "glm": lambda: transformers.GlmConfig(**SMALL, head_dim=8),
    "glm4": lambda: transformers.Glm4Config(**SMALL, head_dim=8),
    "ministral": lambda: transformers.MinistralConfig(
        **SMALL, head_dim=8, sliding_window=7, layer_types=["sliding_attention", "full_attention"]
    ),
    "ministral3": lambda: transformers.Ministral3Config(**SMALL, head_dim=8),
    "smollm3": lambda: transformers.SmolLM3Config(**{**SMALL, "num_hidden_layers": 4}),
    "exaone4": lambda: transformers.Exaone4Config(
        **{**SMALL, "num_hidden_layers": 4}, sliding_window=7, sliding_window_pattern=4
    ),
    "olmo": lambda: transformers.OlmoConfig(**SMALL),
    "olmo2": lambda: transformers.Olmo2Config(**SMALL),
    "olmo3": lambda: transformers.Olmo3Config(
        **SMALL, sliding_window=7, layer_types=["sliding_attention", "full_attention"]
    ),
    "granite": lambda: transformers.GraniteConfig(
        **SMALL, embedding_multiplier=2.0, logits_scaling=0.5, attention_multiplier=0.3, residual_multiplier=0.5
    ),
    "starcoder2": lambda: transformers.Starcoder2Config(**SMALL, sliding_window=7),
    "persimmon": lambda: transformers.PersimmonConfig(**FEW, num_attention_heads=4, **ONE_END, **PLACES),
    "seed_oss": lambda: transformers.SeedOssConfig(**SMALL, head_dim=8),
    "ernie4_5": lambda: transformers.Ernie4_5Config(**SMALL, head_dim=8),
    "hunyuan": lambda: transformers.HunYuanDenseV1Config(**SMALL, head_dim=8),
    "helium": lambda: transformers.HeliumConfig(**SMALL, head_dim=8),
    "apertus": lambda: transformers.ApertusConfig(**SMALL),
    "arcee": lambda: transformers.ArceeConfig(**SMALL),
    "diffllama": lambda: transformers.DiffLlamaConfig(**SMALL),
    "biogpt": lambda: transformers.BioGptConfig(**FEW, num_attention_heads=4, **ONE_END, **PLACES),
    "codegen": lambda: transformers.CodeGenConfig(**GPT, rotary_dim=4, **ONE_END),
    "xglm": lambda: transformers.XGLMConfig(
        vocab_size=211, d_model=32, ffn_dim=64, num_layers=2, attention_heads=4, max_position_embeddings=256, **ONE_END
    ),
    "openai_gpt": lambda: transformers.OpenAIGPTConfig(**GPT),
    "ctrl": lambda: transformers.CTRLConfig(vocab_size=211, n_positions=256, n_embd=32, dff=64, n_layer=2, n_head=4),
    "nanochat": lambda: transformers.NanoChatConfig(**SMALL),
    "bitnet": lambda: transformers.BitNetConfig(**SMALL),
    "vaultgemma": lambda: transformers.VaultGemmaConfig(**SMALL, head_dim=8, sliding_window=7),
    "internlm3": lambda: transformers.AutoConfig.for_model("internlm3", **SMALL),
    "minicpm3": lambda: transformers.AutoConfig.for_model(
        "minicpm3",
        **LATENT,
    ),
    "youtu": lambda: transformers.AutoConfig.for_model(
        "youtu",
        **LATENT,
    ),
    "mixtral": lambda: transformers.MixtralConfig(**SMALL, num_local_experts=4),
    "qwen2_moe": lambda: transformers.Qwen2MoeConfig(
        **SMALL, **EXPERTS, shared_expert_intermediate_size=16, num_experts=4, num_experts_per_tok=2
    ),
    "qwen3_moe": lambda: transformers.Qwen3MoeConfig(
        **SMALL, **EXPERTS, head_dim=8, num_experts=4, num_experts_per_tok=2
    ),
    "deepseek_v2": lambda: transformers.DeepseekV2Config(
        **LATENT,
        **EXPERTS,
        n_routed_experts=4,
        num_experts_per_tok=2,
        n_shared_experts=1,
        first_k_dense_replace=1,
    ),
    "deepseek_v3": lambda: transformers.DeepseekV3Config(
        **LATENT,
        **EXPERTS,
        **ROUTED,
        n_shared_experts=1,
        n_group=2,
    ),
    "olmoe": lambda: transformers.OlmoeConfig(**SMALL, num_experts=4, num_experts_per_tok=2),
    "gpt_oss": lambda: transformers.GptOssConfig(
        **SMALL,
        head_dim=8,
        num_local_experts=4,
        num_experts_per_tok=2,
        sliding_window=7,
        layer_types=["sliding_attention", "full_attention"],
    ),
    "granitemoe": lambda: transformers.GraniteMoeConfig(**SMALL, num_local_experts=4, num_experts_per_tok=2),
    "granitemoeshared": lambda: transformers.GraniteMoeSharedConfig(
        **SMALL, num_local_experts=4, num_experts_per_tok=2, shared_intermediate_size=16
    ),
    "phimoe": lambda: transformers.PhimoeConfig(**SMALL, num_local_experts=4, num_experts_per_tok=2),
    "jetmoe": lambda: transformers.JetMoeConfig(
        **{k: v for k, v in SMALL.items() if k != "num_attention_heads"},
        kv_channels=8,
        num_local_experts=4,
        num_experts_per_tok=2,
    ),
    "dbrx": lambda: transformers.DbrxConfig(
        vocab_size=211,
        d_model=32,
        n_heads=4,
        n_layers=2,
        max_seq_len=256,
        attn_config=dict(kv_n_heads=2, rope_theta=1e4, clip_qkv=8.0),
        ffn_config=dict(ffn_hidden_size=32, moe_num_experts=4, moe_top_k=2, hidden_size=32),
        **ONE_END,
    ),
    "glm4_moe": lambda: transformers.Glm4MoeConfig(
        **SMALL,
        **EXPERTS,
        head_dim=8,
        **ROUTED,
        n_group=1,
    ),
    "ernie4_5_moe": lambda: transformers.Ernie4_5_MoeConfig(
        **SMALL, **EXPERTS, moe_num_experts=4, moe_k=2, moe_layer_start_index=1
    ),
    "hunyuan_moe": lambda: transformers.HunYuanMoEV1Config(**SMALL, head_dim=8, num_experts=4, moe_topk=2),
    "dots1": lambda: transformers.Dots1Config(
        **SMALL,
        **EXPERTS,
        **ROUTED,
        n_shared_experts=1,
        n_group=1,
    ),
    "minimax": lambda: transformers.MiniMaxConfig(
        **{**SMALL, "num_key_value_heads": 4},
        head_dim=8,
        num_local_experts=4,
        layer_types=["linear_attention", "full_attention"],
        block_size=8,
    ),
    "flex_olmo": lambda: transformers.FlexOlmoConfig(**SMALL, num_experts=4, num_experts_per_tok=2),
    "minimax_m2": lambda: transformers.AutoConfig.for_model(
        "minimax_m2", **SMALL, head_dim=8, num_local_experts=4, num_experts_per_tok=2
    ),
    "llama4": lambda: transformers.Llama4TextConfig(
        **SMALL,
        head_dim=8,
        intermediate_size_mlp=64,
        num_local_experts=4,
        attention_chunk_size=8,
        interleave_moe_layer_step=2,
        no_rope_layers=[1, 0],
        attn_temperature_tuning=True,
        floor_scale=4,
    ),
    "mamba": lambda: transformers.MambaConfig(**STATE, time_step_rank=4),
    "mamba2": lambda: transformers.Mamba2Config(
        **STATE,
        num_heads=4,
        head_dim=16,
        n_groups=2,
        chunk_size=8,
    ),
    "falcon_mamba": lambda: transformers.FalconMambaConfig(**STATE, time_step_rank=4),
    "jamba": lambda: transformers.JambaConfig(
        **SMALL,
        num_experts=4,
        attn_layer_period=2,
        attn_layer_offset=1,
        mamba_d_state=8,
        mamba_dt_rank=4,
        use_mamba_kernels=False,
    ),
    "rwkv": lambda: transformers.RwkvConfig(
        vocab_size=211,
        context_length=256,
        hidden_size=32,
        attention_hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        **ONE_END,
    ),
    "bamba": lambda: transformers.BambaConfig(
        **SMALL,
        attn_layer_indices=[1],
        **MAMBA,
    ),
    "falcon_h1": lambda: transformers.FalconH1Config(
        **SMALL,
        head_dim=8,
        mamba_d_ssm=64,
        **MAMBA,
    ),
    "zamba2": lambda: transformers.Zamba2Config(
        **{**SMALL, "num_hidden_layers": 3},
        layers_block_type=["mamba", "hybrid", "mamba"],
        mamba_d_state=8,
        mamba_ngroups=2,
        n_mamba_heads=4,
        chunk_size=8,
        num_mem_blocks=1,
        mamba_headdim=16,
    ),
    "nemotron_h": lambda: transformers.NemotronHConfig(
        **SMALL,
        head_dim=8,
        layers_block_type=["mamba", "attention"],
        mamba_num_heads=4,
        mamba_head_dim=16,
        ssm_state_size=8,
        n_groups=2,
        chunk_size=8,
    ),
    "granitemoehybrid": lambda: transformers.GraniteMoeHybridConfig(
        **SMALL,
        num_local_experts=4,
        num_experts_per_tok=2,
        shared_intermediate_size=16,
        layer_types=["mamba", "attention"],
        **MAMBA,
    ),
    "recurrent_gemma": lambda: transformers.RecurrentGemmaConfig(
        **{**SMALL, "num_hidden_layers": 3}, lru_width=32, attention_window_size=8, head_dim=8
    ),
    "qwen3_next": lambda: transformers.Qwen3NextConfig(
        **SMALL,
        head_dim=8,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=16,
        linear_num_value_heads=4,
        linear_num_key_heads=2,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        layer_types=["linear_attention", "full_attention"],
    ),
    "lfm2": lambda: transformers.Lfm2Config(**SMALL, block_multiple_of=8, layer_types=["conv", "full_attention"]),
    "lfm2_moe": lambda: transformers.AutoConfig.for_model(
        "lfm2_moe",
        **SMALL,
        **EXPERTS,
        num_experts=4,
        num_experts_per_tok=2,
        num_dense_layers=1,
        layer_types=["conv", "full_attention"],
    ),
    "xlstm": lambda: transformers.xLSTMConfig(
        vocab_size=211, hidden_size=32, num_heads=4, num_blocks=2, chunk_size=8, **ONE_END
    ),
    "llama3_rope": lambda: transformers.LlamaConfig(
        **SMALL,
        rope_parameters=dict(
            rope_type="llama3",
            factor=4.0,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=64,
            rope_theta=1e4,
        ),
    ),
    "yarn": lambda: transformers.LlamaConfig(
        **SMALL, rope_parameters=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64, rope_theta=1e4)
    ),
    "linear": lambda: transformers.LlamaConfig(
        **SMALL, rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=1e4)
    ),
    "dynamic": lambda: transformers.LlamaConfig(
        **{**SMALL, "max_position_embeddings": 16},
        rope_parameters=dict(rope_type="dynamic", factor=16.0, rope_theta=1e4),
    ),
    "longrope": lambda: transformers.Phi3Config(
        **SMALL,
        original_max_position_embeddings=16,
        rope_parameters=dict(**LONG, original_max_position_embeddings=16),
    ),
    "longrope_llama": lambda: transformers.LlamaConfig(
        **SMALL,
        rope_parameters=dict(**LONG, original_max_position_embeddings=16, factor=16.0),
    ),
    **NEWER,
}
"""Beside CONFIGS: asked once each (test_architectures.py)."""


def build(name: str, seed: int = 0) -> Loaded:
    """A random model of an architecture above."""
    return of_config(CONFIGS[name]() if name in CONFIGS else MORE[name](), name, seed)


def of_config(config: transformers.PreTrainedConfig, name: str, seed: int = 0) -> Loaded:
    """A random model with peaked logits (weights scaled up), so that greedy answers vary and sometimes end."""
    torch.manual_seed(seed)
    model = _from_config(config)
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if weight.ndim >= 2 and not any(part in key for part in ("embed", "wte", "conv")):
                weight.mul_(8.0)
    model = model.float().eval()
    tokenizer = SimpleNamespace(eos_token_id=2)
    return Loaded(model, tokenizer, name, torch.device("cpu"), weights_hash(model))  # type: ignore[arg-type]


def _from_config(config: transformers.PreTrainedConfig) -> transformers.PreTrainedModel:
    """With torch's own attention, where the architecture has a place for it."""
    model = transformers.AutoModelForCausalLM
    try:
        return model.from_config(config, attn_implementation="sdpa")
    except ValueError:
        return model.from_config(config, attn_implementation="eager")
