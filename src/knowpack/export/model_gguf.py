"""A model with an adapter in its weights as one GGUF file, for llama.cpp and Ollama.

base in GGUF -> the same file, every tensor that the adapter touches dequantized, changed and stored in float16
               (float32 where the base is); all others and the metadata stay as they are
base of transformers -> a new file: settings, byte-level BPE, chat template, merged weights in their own type
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from knowpack import store
from knowpack.errors import ModelError
from knowpack.export.layouts import CONVERTER, Layout
from knowpack.export.lora_gguf import layers
from knowpack.model.adapter import AdapterFiles

if TYPE_CHECKING:
    import gguf

    from knowpack.model.loaded import Loaded

GPT2 = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
"""tokenizers' pre-tokenizer that splits as GPT-2 does: `gpt-2` in llama.cpp."""
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""llama.cpp's types of tokens: control and user-defined ones are cut out of a text before the BPE sees it."""


def rewritten(path: Path, base: Path, adapter: AdapterFiles, layout: Layout) -> None:
    """The base's own file with the adapter added to its weights."""
    import gguf

    halves = layers(adapter, layout)
    alpha = float(str(adapter.settings.get("lora_alpha", 8)))
    reader = gguf.GGUFReader(str(base))
    with store.atomic(path) as beside:
        writer = gguf.GGUFWriter(str(beside), layout.architecture)
        for field in reader.fields.values():
            if field.name != "general.architecture" and not field.name.startswith("GGUF."):
                inside = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
                writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=inside)
        touched = set()
        for tensor in reader.tensors:
            half = halves.get(tensor.name.removesuffix(".weight"))
            if half is None:
                writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
                continue
            touched.add(tensor.name.removesuffix(".weight"))
            weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type)  # (out, in)
            merged = weight + np.float32(alpha / half.a.shape[0]) * (half.b @ half.a)
            exact = tensor.tensor_type == gguf.GGMLQuantizationType.F32
            writer.add_tensor(tensor.name, merged.astype(np.float32 if exact else np.float16))
        if missing := sorted(halves.keys() - touched):
            raise ModelError(f"{base} has no {missing[0]}, which the adapter changes; is it this adapter's base?")
        _end(writer)


def written(path: Path, merged: "Loaded", layout: Layout) -> None:
    """A model of transformers, its adapter in the weights. Raises ModelError for what is not written here."""
    import gguf

    config, tokenizer = merged.model.config, merged.tokenizer
    rope = getattr(config, "rope_parameters", None) or {}
    if layout.architecture not in ("llama", "qwen2") or rope.get("rope_type", "default") != "default":
        raise ModelError(f"GGUF of a whole {config.model_type} with these settings is not written here; {CONVERTER}")
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    if backend["model"]["type"] != "BPE" or not GPT2.items() <= (backend["pre_tokenizer"] or {}).items():
        raise ModelError(f"the tokenizer of {merged.name} does not split as GPT-2's; {CONVERTER}")
    with store.atomic(path) as beside:
        writer = gguf.GGUFWriter(str(beside), layout.architecture)
        writer.add_name(Path(merged.name).name)
        writer.add_block_count(config.num_hidden_layers)
        writer.add_context_length(config.max_position_embeddings)
        writer.add_embedding_length(config.hidden_size)
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count(config.num_attention_heads)
        writer.add_head_count_kv(config.num_key_value_heads)
        _add_head_width(writer, merged)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_freq_base(float(rope.get("rope_theta", 10000.0)))
        writer.add_vocab_size(merged.n_vocabulary)
        _add_tokenizer(writer, merged, backend["model"]["merges"])
        _add_weights(writer, merged, layout)
        _end(writer)


def _add_head_width(writer: "gguf.GGUFWriter", merged: "Loaded") -> None:
    """Where it is not the model's width over its heads, which llama.cpp takes it for."""
    config = merged.model.config
    width = getattr(config, "head_dim", None)
    if width is not None and width * config.num_attention_heads != config.hidden_size:
        writer.add_key_length(width)
        writer.add_value_length(width)
        writer.add_rope_dimension_count(width)


def _add_tokenizer(writer: "gguf.GGUFWriter", merged: "Loaded", merges: list[str] | list[list[str]]) -> None:
    tokenizer = merged.tokenizer
    ids: dict[str, int] = tokenizer.get_vocab()
    by_id = {number: token for token, number in ids.items()}
    added = {number: CONTROL if one.special else USER_DEFINED for number, one in tokenizer.added_tokens_decoder.items()}
    added |= dict.fromkeys(tokenizer.all_special_ids, CONTROL)
    tokens, types = [], []
    for number in range(merged.n_vocabulary):
        tokens.append(by_id.get(number, f"[unused {number}]"))
        types.append(added.get(number, NORMAL) if number in by_id else UNUSED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in merges])
    for add, number in (
        (writer.add_bos_token_id, tokenizer.bos_token_id),
        (writer.add_eos_token_id, tokenizer.eos_token_id),
        (writer.add_pad_token_id, tokenizer.pad_token_id),
    ):
        if isinstance(number, int):
            add(number)
    writer.add_add_bos_token(tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id])
    if tokenizer.chat_template:
        writer.add_chat_template(str(tokenizer.chat_template))


def _add_weights(writer: "gguf.GGUFWriter", merged: "Loaded", layout: Layout) -> None:
    import gguf

    types = {"torch.float16": gguf.GGMLQuantizationType.F16, "torch.bfloat16": gguf.GGMLQuantizationType.BF16}
    kind = types.get(str(merged.model.dtype), gguf.GGMLQuantizationType.F32)
    for key, weight in merged.model.named_parameters():  # a tied output is named once, as the embedding
        module, _, part = key.rpartition(".")
        name = layout.name(module)
        if name is None:
            raise ModelError(f"llama.cpp has no place for {key} of {merged.name}; {CONVERTER}")
        array = layout.rows(name, weight.detach().float().cpu().numpy())
        flat = array.ndim < 2 or kind == gguf.GGMLQuantizationType.F32  # norms and biases stay exact
        if flat:
            writer.add_tensor(f"{name}.{part}", np.ascontiguousarray(array))
        else:
            writer.add_tensor(f"{name}.{part}", gguf.quants.quantize(array, kind), raw_dtype=kind)


def _end(writer: "gguf.GGUFWriter") -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
