"""The lab's tokenizer: documents -> byte-level BPE for transformers, with the paper's chat form as its template."""

from collections.abc import Callable, Iterable
from typing import cast

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from knowpack.lab.forms import BOS, END, PAD, SPECIAL

MAX_LENGTH = 512

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def train_tokenizer(documents: Iterable[str], vocab: int) -> PreTrainedTokenizerFast:
    """A BPE tokenizer of exactly `vocab` entries (fewer only if the documents hold too few words)."""
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    bare.train_from_iterator(
        documents,
        trainers.BpeTrainer(
            vocab_size=vocab,
            special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    bare.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, bare.token_to_id(BOS))]
    )
    make = cast("Callable[..., PreTrainedTokenizerFast]", PreTrainedTokenizerFast)
    return make(
        tokenizer_object=bare,
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[token for token in SPECIAL if token not in (BOS, END, PAD)],
        chat_template=CHAT_TEMPLATE,
        model_max_length=MAX_LENGTH,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
