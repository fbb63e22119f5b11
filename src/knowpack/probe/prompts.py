"""Few-shot prompts as token ids; the only place that renders text for a tokenizer.

(shots, questions) -> token ids. Chat turns (turns.py) through the tokenizer's own chat template; plain
"Question: ... Answer: ..." text where it has none. Exactly one BOS, whatever tokenizer and template do.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from knowpack.errors import ConfigError, FactsError
from knowpack.probe.turns import SYSTEM, Message, messages
from knowpack.probe.turns import Shot as Shot
from knowpack.seeds import stream

_PROBE_QUESTIONS = ("What is it?", "Who was Ada Lovelace, and where?", "7 x 8")


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
        """chat None: use the chat template where there is one. second_bos: what the authors' probe does."""
        if chat and not tokenizer.chat_template:
            raise ConfigError("probe.chat=true, but the tokenizer has no chat template; leave it out or set false")
        self.tokenizer = tokenizer
        self.chat = bool(tokenizer.chat_template) if chat is None else chat
        self.system = system
        self.second_bos = second_bos
        self._bos = _own_bos(tokenizer)
        self._newest: tuple[list[str], list[list[int]]] = ([], [])
        """The last batch's texts and ids: the next prompt's often are the same."""

    def encode(self, shots: Sequence[Shot], question: str) -> list[int]:
        """Ids of the whole prompt, up to where the model's answer begins."""
        return self._finish(self._ids([self._text(shots, question)])[0])

    def batch(self, shots: Sequence[Shot], questions: Sequence[str]) -> Batch:
        """All questions under the same shots; the same ids as `encode`, most of the text tokenized once."""
        split = self._split(shots)
        if split is None:
            whole = [self._finish(ids) for ids in self._ids([self._text(shots, q) for q in questions])]
            head: list[int] = []
        else:
            texts = [split.tail_before + q + split.after for q in questions]
            if texts != self._newest[0]:
                self._newest = (texts, self._ids(texts))
            whole = self._newest[1]
            head = self._finish(split.prefix)
        n_shared = common_prefix(whole)
        return Batch(head + whole[0][:n_shared] if whole else head, [ids[n_shared:] for ids in whole])

    def example(self, question: str, answer: str, shots: Sequence[Shot] = ()) -> Encoded:
        """A training example: the prompt, the answer and the end of its turn."""
        ids = self._finish(self._ids([self._text(shots, question, answer)])[0])
        prompt = self.encode(shots, question)
        n_prompt = min(common_prefix([prompt, ids], keep_one=False), len(ids) - 1)
        if not self.chat and self.tokenizer.eos_token_id is not None:
            ids = [*ids, self.tokenizer.eos_token_id]
        return Encoded(ids, n_prompt)

    def answer_ids(self, answer: str, question: str = _PROBE_QUESTIONS[0]) -> list[int]:
        """Ids that continue `encode(..., question)` with this answer, without the end of turn."""
        encoded = self.example(question, answer)
        ids = encoded.ids[encoded.n_prompt :]
        special = set(self.tokenizer.all_special_ids)
        while ids and (ids[-1] in special or not self.decode(ids[-1:]).strip()):
            ids = ids[:-1]
        return ids

    def continuation(self, text: str) -> list[int]:
        """Ids of a text that a model gave as an answer: a draft of what it may give again."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def decode(self, ids: Sequence[int]) -> str:
        """Ids -> text, special tokens left out."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def messages(self, shots: Sequence[Shot], question: str, answer: str | None = None) -> list[Message]:
        """The chat turns; with an answer the assistant's turn is closed."""
        return messages(self.system, shots, question, answer)

    def _text(self, shots: Sequence[Shot], question: str, answer: str | None = None) -> str:
        if not self.chat:
            parts = [self.system] if self.system else []
            parts += [f"Question: {shot.question}\nAnswer: {shot.answer}" for shot in shots]
            parts.append(f"Question: {question}\nAnswer:" + ("" if answer is None else f" {answer}"))
            return "\n\n".join(parts)
        turns = self.messages(shots, question, answer)
        try:
            return self._render(turns, answer is None)
        except TemplateError:  # templates without a system role: its text opens the first user turn
            if turns[0]["role"] != "system":
                raise
            first = {"role": "user", "content": turns[0]["content"] + "\n\n" + turns[1]["content"]}
            return self._render([first, *turns[2:]], answer is None)

    def _render(self, turns: list[dict[str, str]], generation_prompt: bool) -> str:
        return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=generation_prompt))

    def _ids(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        return [list(ids) for ids in self.tokenizer(texts, add_special_tokens=False)["input_ids"]]

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
        mark = "\u2063KNOWPACK\u2063"
        before, found, after = self._text(shots, mark).partition(mark)
        if not found or mark in after:
            return None
        for cut in _cuts(before, self.tokenizer):
            prefix = self._ids([before[:cut]])[0]
            tails = self._ids([before[cut:] + q + after for q in _PROBE_QUESTIONS])
            whole = self._ids([before + q + after for q in _PROBE_QUESTIONS])
            if prefix and all(prefix + tail == ids for tail, ids in zip(tails, whole, strict=True)):
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


def draw_shots(
    pool: pl.DataFrame, n_prompts: int, n_shots: int, seed: int | None, *, exclude: Sequence[str] = (), skip: int = 0
) -> list[list[Shot]]:
    """Draw n_prompts x n_shots disjoint shots (paper: 10 x 4, from TriviaQA).

    pool: columns question, answer. exclude: questions that may not serve (those of the facts). seed: None = in order.
    skip: leave out the first `skip` prompts of the seed's list, for a second, disjoint set (the noise floor).
    Raises FactsError if the pool is too small.
    """
    if n_shots == 0:
        return [[] for _ in range(n_prompts)]
    free = pool.filter(~pl.col("question").is_in(list(exclude))).unique("question", maintain_order=True)
    wanted = (skip + n_prompts) * n_shots
    if free.height < wanted:
        raise FactsError(
            f"the shot pool has {free.height} questions that are not among the facts; "
            f"{wanted} are needed for {skip + n_prompts} prompts x {n_shots} shots"
        )
    order = np.arange(free.height) if seed is None else stream(seed, "shots").permutation(free.height)
    chosen = [Shot(*free.select("question", "answer").row(int(index))) for index in order[skip * n_shots : wanted]]
    return [chosen[start : start + n_shots] for start in range(0, len(chosen), n_shots)]


def _own_bos(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The BOS id, if this tokenizer puts one before a text by itself or its chat template writes one."""
    bos: int | None = tokenizer.bos_token_id
    if bos is None:
        return None
    if list(tokenizer("a")["input_ids"])[:1] == [bos]:
        return bos
    template = str(tokenizer.chat_template or "")
    return bos if "bos_token" in template or str(tokenizer.bos_token) in template else None
