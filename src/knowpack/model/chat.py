"""A chat template as text: the one place where turns are rendered, for probe, training, benchmarks and rewording.

tokenizer + turns -> the text up to where the answer begins, and what closes an answer. Thinking is switched off in
every rendering, "today" is one fixed day, and a template that fails, never ends or prints without end is one line.
"""

import datetime
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast
from unittest.mock import patch

from jinja2.exceptions import TemplateError

from knowpack.errors import ModelError, one_line
from knowpack.measure import thoughts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = dict[str, str]

TODAY = datetime.datetime(2024, 7, 26)
"""The day of every rendering: the one that the templates of Llama 3.1 and 3.2 name where no clock is at hand."""
THINKING_OFF: Mapping[str, object] = {
    "enable_thinking": False,  # Qwen3, GLM-4.5, SmolLM3, EXAONE 4, Hunyuan
    "thinking": False,  # DeepSeek-V3.1, Granite, Kimi
    "reasoning": False,  # Command A
    "thinking_budget": 0,  # Seed-OSS
    "reasoning_effort": "low",  # gpt-oss: it has no off
}
"""What the switches are called; a template gets those that it names."""

LONGEST = 1_000_000  # letters of a rendering, and of a template
TRIAL = {"letters": LONGEST, "seconds": 5, "bytes": 1 << 28}  # 256 MiB: fetching more took seconds of a busy machine
PATIENCE_SECONDS = 60.0  # for the trial by the clock: a busy machine, or one without limits on a process

_QUESTION, _ANSWER = "\u2063KNOWPACK ASKS\u2063", "\u2063KNOWPACK ANSWERS\u2063"
_OPEN_THOUGHT = re.compile(rf"([<\[◁])({thoughts.NAME}[>\]▷])(\s*)$", re.I)
_CLOSED_THOUGHT = re.compile(rf"{thoughts.END}\s*$", re.I)
_THOUGHTS = re.compile(r"[<\[◁]/?(?:\w+:)?think|reasoning_content|<\|channel\|>", re.I)


def template_of(tokenizer: "PreTrainedTokenizerBase") -> str | None:
    """The template for chats without tools; None where the tokenizer has none."""
    if not getattr(tokenizer, "chat_template", None):
        return None
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as error:
        raise ModelError(f"the tokenizer's chat templates cannot be used: {one_line(error)}") from None


def switches_of(template: str) -> dict[str, object]:
    """Those of THINKING_OFF that a template names."""
    named = [name for name in THINKING_OFF if re.search(rf"(?<![\w.'\"]){name}\b", template)]
    return {name: THINKING_OFF[name] for name in named}


class Chat:
    """Renders turns by one tokenizer's template."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", given: Mapping[str, object] | None = None) -> None:
        """given: variables for the template, beside ours. Raises ModelError where there is none that can be used."""
        template = template_of(tokenizer)
        if template is None:
            raise ModelError("the tokenizer has no chat template; set probe.chat=false for plain prompts")
        _try(template)
        self._tokenizer = tokenizer
        self.switches = switches_of(template)
        """The switches that every rendering sets."""
        self._variables = {**self.switches, **(given or {}), "chat_template": template, "tokenize": False}
        self._system_apart: bool | None = None
        """Whether the template has a place for the system's turn; None: not asked yet."""
        user = [{"role": "user", "content": _QUESTION}]
        opening = self._render(user, is_open=True)
        if opening != self._render(user, is_open=True):
            raise ModelError(_unusable("it renders the same turns in two ways"))
        before, mark, after = self._render([*user, _turn("assistant", _ANSWER)]).partition(_ANSWER)
        again = self._render([*user, _turn("assistant", _ANSWER), *user]).partition(_ANSWER)[2]
        self.closings = (after, again.partition(_QUESTION)[0])
        """What follows an answer: at the end, and before another question."""
        gap = before[len(opening) :] if mark and before.startswith(opening) else ""
        thinks = _THOUGHTS.search(gap) is not None
        self.lead = "" if thinks else gap
        """What an answer begins with: white space, mostly."""
        self.added = gap if thinks else _closed_thought(opening)
        """What stands between the template's opening of the assistant's turn and the answer: an empty thought."""
        self.may_think = bool(
            _THOUGHTS.search(template) and not (self.switches or self.added or _CLOSED_THOUGHT.search(opening))
        )
        """Whether answers may begin with thoughts, whatever is done here."""

    def prompt(self, turns: Sequence[Message]) -> str:
        """Turns that end with the user's -> the text up to where the answer begins."""
        return self._with_system(turns, is_open=True) + self.added

    def continued(self, turns: Sequence[Message]) -> str:
        """Turns that end with a part of the assistant's -> the text up to where it goes on."""
        return self._with_system(turns, goes_on=True)

    def warn(self) -> None:
        """Say where thinking cannot be switched off."""
        if self.may_think:
            warnings.warn(
                "the chat template knows thoughts and has no switch for them: an answer may begin with thoughts; they "
                "are skipped before grading, and use up probe.max_new_tokens",
                stacklevel=3,
            )

    def _with_system(self, turns: Sequence[Message], *, is_open: bool = False, goes_on: bool = False) -> str:
        """Templates that refuse or drop the system's turn get its text at the beginning of the first user's."""
        if turns[0]["role"] != "system":
            return self._render(turns, is_open=is_open, goes_on=goes_on)
        if self._system_apart is None:
            try:
                self._system_apart = turns[0]["content"].strip() in self._render(
                    turns, is_open=is_open, goes_on=goes_on
                )
            except _RefusedError:
                self._system_apart = False
        if self._system_apart:
            return self._render(turns, is_open=is_open, goes_on=goes_on)
        first = _turn(turns[1]["role"], turns[0]["content"] + "\n\n" + turns[1]["content"])
        return self._render([first, *turns[2:]], is_open=is_open, goes_on=goes_on)

    def _render(self, turns: Sequence[Message], *, is_open: bool = False, goes_on: bool = False) -> str:
        from transformers.utils import chat_template_utils

        render = cast("Callable[..., object]", self._tokenizer.apply_chat_template)
        then = {"add_generation_prompt": is_open, "continue_final_message": goes_on}
        try:
            with patch.object(chat_template_utils, "datetime", _Clock):  # what strftime_now asks
                text = str(render(list(turns), **then, **self._variables))
        except TemplateError as error:
            raise _RefusedError(_unusable(one_line(error))) from None
        except Exception as error:  # a template can make Python raise anything
            raise ModelError(_unusable(one_line(error))) from None
        if len(text) > LONGEST:
            raise ModelError(_unusable(f"it prints more than {LONGEST:,} letters"))
        return text


def closing_ids(tokenizer: "PreTrainedTokenizerBase") -> frozenset[int]:
    """Tokens that close the assistant's turn by the template: the first of what follows an answer, if it is a special
    or added one. None where there is no template, or one that cannot be used."""
    try:
        if template_of(tokenizer) is None:
            return frozenset()
        chat = Chat(tokenizer)
    except ModelError:
        return frozenset()
    return frozenset(id_ for text in chat.closings if (id_ := first_added(tokenizer, text)) is not None)


def first_added(tokenizer: "PreTrainedTokenizerBase", text: str) -> int | None:
    """The special or added token that a text begins with, white space apart; None where it begins with another."""
    ids = list(tokenizer(text.lstrip(), add_special_tokens=False)["input_ids"]) if text.strip() else []
    return ids[0] if ids and ids[0] in tokenizer.added_tokens_decoder else None


class _RefusedError(ModelError):
    """The template itself raised: it may take the same turns in another form."""


class _Clock(datetime.datetime):
    """A clock that stands."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "_Clock":
        return cls(TODAY.year, TODAY.month, TODAY.day, tzinfo=tz)


def _turn(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _closed_thought(opening: str) -> str:
    """What closes a thought that the template has opening: an empty block, as DeepSeek-R1 and Qwen3 write it."""
    match = _OPEN_THOUGHT.search(opening)
    if match is None:
        return ""
    return ("\n" if "\n" in match[3] else "\n\n") + f"{match[1]}/{match[2]}\n\n"


def _unusable(why: str) -> str:
    return f"the chat template cannot be used: {why}; set probe.chat=false for plain prompts"


@lru_cache(maxsize=256)
def _try(template: str) -> None:
    """Raise ModelError where a template takes too long or too much memory, tried in a process that has limits."""
    if len(template) > LONGEST:
        raise ModelError(_unusable(f"it has {len(template):,} letters"))
    user, assistant, system = (_turn(role, "What is it?") for role in ("user", "assistant", "system"))
    chats = [[user], [system, user], [system, *[user, assistant] * 4, user], [user, assistant]]
    trial = json.dumps({**TRIAL, "template": template, "chats": chats})
    script = Path(__file__).with_name("trial_rendering.py")
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(script)],
            input=trial,
            text=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(_unusable("it does not end")) from None
    if done.returncode == 3:
        raise ModelError(_unusable(f"it prints more than {LONGEST:,} letters, or takes as much memory"))
    if done.returncode < 0:  # by a signal: of the limit on time, or of a crash
        raise ModelError(_unusable(f"it does not end within {TRIAL['seconds']} s"))
