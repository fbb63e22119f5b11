"""The tokens of a GGUF file, and no others.

tokenizer as transformers builds it + the file -> the same with the file's own tokens. transformers builds a byte-level
tokenizer as GPT-2's and a sentencepiece one as Llama's, and adds the special tokens of these where the file has none
of that name (`<|endoftext|>`, `<unk>`), behind the file's last: ids that the model has no rows for. A special token of
the file that is written in letters outside the byte alphabet stands there a second time in the same way.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NAMED = ("bos_token", "eos_token", "unk_token", "pad_token", "cls_token", "sep_token", "mask_token")


def of_its_file(tokenizer: "PreTrainedTokenizerBase", file: Path) -> "PreTrainedTokenizerBase":
    """Tokens behind the file's last are taken out, or back to the id that the file gives them."""
    from gguf import GGUFReader
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    listed = GGUFReader(str(file)).fields["tokenizer.ggml.tokens"].contents()
    own = {str(token): number for number, token in enumerate(listed)}
    written = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary: dict[str, int] = written["model"]["vocab"]
    spelled = {number: token for token, number in vocabulary.items()}
    kept, moved = [], {}
    for one in written["added_tokens"]:
        number = one["id"] if one["id"] < len(listed) else own.get(one["content"])
        if number is None:
            continue
        if number != one["id"]:
            moved[one["id"]] = number
            vocabulary[one["content"]] = vocabulary.pop(spelled[number])
        kept.append(one | {"id": number})
    written["added_tokens"] = sorted(kept, key=lambda one: int(one["id"]))
    for one in ((written["post_processor"] or {}).get("special_tokens") or {}).values():
        one["ids"] = [moved.get(number, number) for number in one["ids"]]
    there = {one["content"] for one in kept}
    named = {name: str(token) for name in NAMED if str(token := getattr(tokenizer, name)) in there}
    result: PreTrainedTokenizerBase = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=Tokenizer.from_str(json.dumps(written)), chat_template=tokenizer.chat_template, **named
    )
    return result
