"""Text of ours and text of users, as token ids: what a user writes never becomes a special token.

shielded user text inside a rendered prompt -> ids, and ids -> text. "<|im_end|>" in a question is nine letters, not the
end of the turn.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from knowpack.measure.thoughts import MARK

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BREAK = "\ufdd0"  # no letter of any text: Unicode keeps it for such uses


class Tokens:
    """Text to ids and back, by one tokenizer."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", template: str | None) -> None:
        """template: the chat template; added tokens that stand in it are no text of a user's either."""
        self.tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder
        control = [
            token.content
            for token in added.values()
            if len(token.content) > 1
            and (token.special or (token.content in (template or "") and not token.content.isspace()))
        ]
        longest_first = sorted(control, key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, longest_first))) if control else None
        self._thoughts = {id_: t.content for id_, t in added.items() if t.special and MARK.fullmatch(t.content)}
        self._new_line = self._ids("\n")

    def shielded(self, text: str) -> str:
        """A user's text with every special token broken after its first letter; `ids` takes the break out again."""
        plain = text.replace(BREAK, "")
        if self._control is None:
            return plain
        return self._control.sub(lambda match: match[0][0] + BREAK + match[0][1:], plain)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of whole texts, without what the tokenizer would add."""
        if not texts:
            return []
        if not any(BREAK in text for text in texts):
            return [list(ids) for ids in self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]]
        return [self._broken(text) for text in texts]

    def continued(self, text: str) -> list[int]:
        """Ids of a text that goes on after another one.

        Behind a new line, which is then left out: at its beginning SentencePiece would put a space before the text.
        """
        first, *rest = text.split(BREAK)
        behind = self._ids("\n" + first)
        n = len(self._new_line)
        ids = behind[n:] if behind[:n] == self._new_line else self._ids(first)
        return ids + [id_ for piece in rest for id_ in self.continued(piece)]

    def text(self, ids: Sequence[int]) -> str:
        """Ids -> text, special tokens left out but for those that mark thoughts: grading must see where they end."""
        if not any(id_ in self._thoughts for id_ in ids):
            return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))
        pieces, current = [], list[int]()
        for id_ in ids:
            if id_ in self._thoughts:
                pieces += [self.text(current), self._thoughts[id_]]
                current = []
            else:
                current.append(id_)
        return "".join([*pieces, self.text(current)])

    def _broken(self, text: str) -> list[int]:
        first, _, rest = text.partition(BREAK)
        return self._ids(first) + (self.continued(rest) if rest else [])

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []
