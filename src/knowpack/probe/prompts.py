"""Few-shot prompts as token ids; for the probe and for training, which learns behind the very ids that are probed.

(shots, questions) -> token ids. Chat turns (turns.py) through the tokenizer's own chat template (model/chat.py); plain
"Question: ... Answer: ..." text where it has none. Exactly one BOS, whatever tokenizer and template do.
"""

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from knowpack.errors import ConfigError, ModelError
from knowpack.model.chat import Chat, template_of
from knowpack.probe.tokens import Tokens
from knowpack.probe.turns import SYSTEM, Message, Shot, messages

_PROBE_QUESTIONS = ("What is it?", "Who was Ada Lovelace, and where?", "7 x 8")
_MARK = "\u2063KNOWPACK\u2063"  # stands for the question, in a rendering that serves many
_ODD = "Is \"a\" <b> & 'c' \\ {d}\n%e?"  # a template that escapes letters shows it here
_KEPT = 64  # renderings that are kept: one a few-shot draw


class Encoded(NamedTuple):
    """A question with its answer, as ids."""

    ids: list[int]
    n_prompt: int
    """ids[:n_prompt] is the prompt, ids[n_prompt:] the answer with its end of turn."""


class Batch(NamedTuple):
    """Many questions under one few-shot prompt: prefix + tails[i] is the whole prompt of question i."""

    prefix: list[int]
    tails: list[list[int]]
    """Each holds at least one id."""


class Prompter:
    """Renders questions for one tokenizer."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        chat: bool | None = None,
        system: str = SYSTEM,
        second_bos: bool = False,
    ) -> None:
        """chat None: use the chat template where there is one. second_bos: what the authors' probe does.

        Raises ModelError where the template cannot be used, or does not show the question.
        """
        if chat and not tokenizer.chat_template:
            raise ConfigError("probe.chat=true, but the tokenizer has no chat template; leave it out or set false")
        self.tokenizer = tokenizer
        self.chat = bool(tokenizer.chat_template) if chat is None else chat
        self.system = system
        self.second_bos = second_bos
        self._template = Chat(tokenizer) if self.chat else None
        self._tokens = Tokens(tokenizer, template_of(tokenizer) if self.chat else None)
        self._bos = _own_bos(tokenizer, (template_of(tokenizer) or "") if self.chat else "")
        self._newest: tuple[list[str], list[list[int]]] = ([], [])
        """The last batch's texts and ids: the next prompt's often are the same."""
        self._around: dict[tuple[Shot, ...], tuple[str, str] | None] = {}
        """What stands before and behind the question, by shots; None where a question changes it."""
        if self._template is not None:
            self._template.warn()
            if self.encode((), _PROBE_QUESTIONS[0]) == self.encode((), _PROBE_QUESTIONS[1]):
                raise ModelError(
                    "the chat template renders two different questions to the same ids: the model would not see what "
                    "it is asked; set probe.chat=false for plain prompts"
                )

    def encode(self, shots: Sequence[Shot], question: str) -> list[int]:
        """Ids of the whole prompt, up to where the model's answer begins."""
        return self._finish(self._ids([self._text(shots, question)])[0])

    def instruction(self, text: str) -> list[int]:
        """Ids of one turn of a user's in our own words, without shots; plain text and a new line without a template."""
        message = self._tokens.shielded(text)
        if self._template is None:
            return self._finish(self._ids([message + "\n"])[0])
        return self._finish(self._ids([self._template.prompt([{"role": "user", "content": message}])])[0])

    def before_question(self, shots: Sequence[Shot]) -> list[int]:
        """Ids of the prompt up to where a question begins: what a model goes on from that writes one itself.

        Raises ModelError where the template changes what stands before a question by the question.
        """
        around = self._rendered_around(shots)
        if around is None:
            raise ModelError("the chat template changes with the question: nothing can be written behind its head")
        return self._finish(self._ids([around[0].rstrip()])[0])

    def batch(self, shots: Sequence[Shot], questions: Sequence[str]) -> Batch:
        """All questions under the same shots; the same ids as `encode`, most of the text tokenized once."""
        shielded = [self._tokens.shielded(question) for question in questions]
        split = self._split(shots)
        if split is None or any(text != text.strip() for text in shielded):
            rows = [self._finish(ids) for ids in self._ids([self._text(shots, q) for q in questions])]
            head: list[int] = []
        else:
            texts = [split.tail_before + text + split.after for text in shielded]
            if texts != self._newest[0]:
                self._newest = (texts, self._ids(texts))
            rows = self._newest[1]
            head = self._finish(split.prefix)
        n_shared = common_prefix(rows)
        return Batch(head + rows[0][:n_shared] if rows else head, [ids[n_shared:] for ids in rows])

    def example(self, question: str, answer: str, shots: Sequence[Shot] = ()) -> Encoded:
        """A training example: the ids of the prompt as it is probed, then the answer, then the end of its turn."""
        end = self._template.closings[0] if self._template is not None else ""
        ids, n_prompt = self._answered(shots, question, answer, end)
        added = self.tokenizer.added_tokens_decoder
        closing = next((id_ for id_ in self._ids([end])[0] if id_ in added), None) if end.strip() else None
        if closing is not None and closing in ids[n_prompt + 1 :]:  # not what the template prints behind the end
            ids = ids[: ids.index(closing, n_prompt + 1) + 1]
        elif self.tokenizer.eos_token_id is not None:
            ids = [*ids, self.tokenizer.eos_token_id]
        return Encoded(ids, n_prompt)

    def answer_ids(self, answer: str, question: str = _PROBE_QUESTIONS[0]) -> list[int]:
        """Ids that continue `encode(..., question)` with this answer, without the end of turn."""
        ids, n_prompt = self._answered((), question, answer, "")
        return ids[n_prompt:]

    def continuation(self, text: str) -> list[int]:
        """Ids of a text that a model gave as an answer: a draft of what it may give again."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def decode(self, ids: Sequence[int]) -> str:
        """Ids -> text, special tokens left out but for those around thoughts."""
        return self._tokens.text(ids)

    def messages(self, shots: Sequence[Shot], question: str, answer: str | None = None) -> list[Message]:
        """The chat turns; with an answer the assistant's turn is closed."""
        return messages(self.system, shots, question, answer)

    def _text(self, shots: Sequence[Shot], question: str) -> str:
        """The whole prompt, up to where the answer begins; what users wrote is shielded."""
        shielded, around = self._tokens.shielded(question), self._rendered_around(shots)
        if around is None or shielded != shielded.strip():  # a template may trim
            return self._rendered(shots, shielded)
        return around[0] + shielded + around[1]

    def _rendered_around(self, shots: Sequence[Shot]) -> tuple[str, str] | None:
        key = tuple(shots)
        if key not in self._around:
            before, mark, after = self._rendered(shots, _MARK).partition(_MARK)
            is_exact = mark and _MARK not in after and before + _ODD + after == self._rendered(shots, _ODD)
            if len(self._around) >= _KEPT:
                self._around.clear()
            self._around[key] = (before, after) if is_exact else None
        return self._around[key]

    def _rendered(self, shots: Sequence[Shot], shielded: str) -> str:
        if self._template is not None:
            turns = [{**turn, "content": self._tokens.shielded(turn["content"])} for turn in self.messages(shots, "")]
            turns[-1]["content"] += shielded
            return self._template.prompt(turns)
        parts = [self.system] if self.system else []
        parts += [f"Question: {shot.question}\nAnswer: {shot.answer}" for shot in shots]
        shown = [self._tokens.shielded(part) for part in parts]
        return "\n\n".join([*shown, f"Question: {shielded}\nAnswer:"])

    def _answered(self, shots: Sequence[Shot], question: str, answer: str, end: str) -> Encoded:
        """Prompt, answer and end as ids; the prompt's are those of `encode`, whatever stands behind them."""
        begins = " " if self._template is None else f"{self._template.lead}Answer: "
        message = self._tokens.shielded(begins + answer) + end
        prompt = self.encode(shots, question)
        ids = self._finish(self._ids([self._text(shots, question) + message])[0])
        if ids[: len(prompt)] != prompt:  # letters on both sides of the border make one token
            ids = [*prompt, *self._tokens.continued(message)]
        assert ids[: len(prompt)] == prompt, "the prompt that is trained on is the one that is probed"
        return Encoded(ids, len(prompt))

    def _ids(self, texts: list[str]) -> list[list[int]]:
        return self._tokens.ids(texts)

    def _finish(self, ids: list[int]) -> list[int]:
        """Exactly one BOS where the tokenizer has one of its own; two in the paper preset."""
        if self._bos is None:
            return ids
        while len(ids) > 1 and ids[0] == ids[1] == self._bos:
            ids = ids[1:]
        if not ids or ids[0] != self._bos:
            ids = [self._bos, *ids]
        return [self._bos, *ids] if self.second_bos else ids

    def _split(self, shots: Sequence[Shot]) -> "_Split | None":
        """Where the text can be cut so that both parts, tokenized apart, give the ids of the whole; or None."""
        around = self._rendered_around(shots)
        if around is None:
            return None
        before, after = around
        for cut in _cuts(before, self.tokenizer):
            prefix = self._ids([before[:cut]])[0]
            tails = self._ids([before[cut:] + q + after for q in _PROBE_QUESTIONS])
            expected = self._ids([before + q + after for q in _PROBE_QUESTIONS])
            if prefix and all(prefix + tail == ids for tail, ids in zip(tails, expected, strict=True)):
                return _Split(prefix, before[cut:], after)
        return None


class _Split(NamedTuple):
    prefix: list[int]
    tail_before: str
    after: str


def _cuts(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Places to cut, most promising first: before the last special token, before the last blank line."""
    special = [text.rfind(token) for token in tokenizer.all_special_tokens if token]
    added = [text.rfind(token) for token in tokenizer.get_added_vocab() if token]
    lines = [text.rfind("\n\n"), text.rfind("Question:")]
    return [cut for cut in dict.fromkeys([max([*special, *added, -1]), *lines]) if cut > 0]


def common_prefix(sequences: Sequence[Sequence[int]], *, keep_one: bool = True) -> int:
    """Length of the longest common prefix; with keep_one every sequence keeps at least one id after it."""
    if not sequences:
        return 0
    lists = [list(ids) for ids in sequences]
    first, last = min(lists), max(lists)  # lexicographic: only the extremes matter
    n = 0
    for a, b in zip(first, last, strict=False):
        if a != b:
            break
        n += 1
    return min(n, min(len(ids) for ids in sequences) - 1) if keep_one else n


def _own_bos(tokenizer: PreTrainedTokenizerBase, template: str) -> int | None:
    """The BOS id, if this tokenizer puts one before a text by itself or the template that is used writes one."""
    bos: int | None = tokenizer.bos_token_id
    if bos is None:
        return None
    if list(tokenizer("a")["input_ids"])[:1] == [bos]:
        return bos
    return bos if "bos_token" in template or str(tokenizer.bos_token) in template else None
