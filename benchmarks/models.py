"""The models that the benchmarks ask: by name, or random ones of a known shape."""

from collections.abc import Iterable

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from knowpack.config import ModelConfig
from knowpack.model.load import load
from knowpack.model.loaded import Loaded, weights_hash

SMOLLM = {
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "vocab_size": 49152,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
}
"""The shape of SmolLM-135M."""
TINY = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3, "num_attention_heads": 4}
LAB_SIZED = {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 6}


def named(name: str, tokenizer_of: str = "lab") -> Loaded:
    """A model by name; "random-llama" and "random-neox" borrow a tokenizer and have peaked logits: choices differ."""
    if not name.startswith("random-"):
        return load(ModelConfig(name=name, dtype="float32"))
    words = load(ModelConfig(name=tokenizer_of)).tokenizer
    shape = {**TINY, "vocab_size": len(words), "max_position_embeddings": 2048}
    configs = {
        "random-llama": lambda: transformers.LlamaConfig(**shape, num_key_value_heads=2),
        "random-neox": lambda: transformers.GPTNeoXConfig(**shape),
    }
    torch.manual_seed(0)
    config = configs[name]()
    config.bos_token_id, config.eos_token_id = words.bos_token_id, words.eos_token_id
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(4.0)
    return _loaded(model, words, name)


def lab_sized() -> transformers.LlamaForCausalLM:
    """A random Llama of about the lab's size, 2,048 tokens."""
    return _llama({"vocab_size": 2048, **LAB_SIZED})


def smollm_sized(texts: Iterable[str] | None = None) -> Loaded:
    """A random Llama of SmolLM-135M's shape. texts: what its tokenizer is trained on; None: a word w17 a token."""
    if texts is None:
        model = _llama(SMOLLM, eos_token_id=None, bos_token_id=None, pad_token_id=0)
        return _loaded(model, _a_word_a_token(SMOLLM["vocab_size"]), "random 135M")
    return _loaded(_llama(SMOLLM, bos_token_id=0, eos_token_id=1), _bytes(texts, SMOLLM["vocab_size"]), "random 135M")


def _llama(shape: dict[str, int], **tokens: int | None) -> transformers.LlamaForCausalLM:
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape, **tokens)).float().eval()


def _loaded(model: transformers.PreTrainedModel, words: transformers.PreTrainedTokenizerBase, name: str) -> Loaded:
    return Loaded(model, words, name, torch.device("cpu"), weights_hash(model))


def _a_word_a_token(n: int) -> transformers.PreTrainedTokenizerFast:
    bare = Tokenizer(models.WordLevel({f"w{i}": i for i in range(n)}, unk_token="w0"))
    bare.pre_tokenizer, bare.decoder = pre_tokenizers.WhitespaceSplit(), decoders.WordPiece(prefix="##")
    return transformers.PreTrainedTokenizerFast(tokenizer_object=bare, pad_token="w0")


def _bytes(texts: Iterable[str], n: int) -> transformers.PreTrainedTokenizerFast:
    """Byte-level BPE of n tokens, with a first token."""
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=n, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    bare.train_from_iterator(texts, trainer)
    bare.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=bare, bos_token="<s>", eos_token="</s>")
