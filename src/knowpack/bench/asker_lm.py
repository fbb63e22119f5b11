"""The model class for lm-evaluation-harness over whoever is asked by token ids and is not in memory: vLLM, say.

TokenAsker -> lm-eval's LM. Log-likelihoods are the asker's (a server's: completions with `echo` and `logprobs`), greedy
texts too. Tokens are those of lm-eval's `hf` backend: one text split into context and answer, blanks at the end of a
context given to the answer, the first token in place of an empty context.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import (
    handle_stop_sequences,
    has_bos_prefix,
    normalize_gen_kwargs,
    postprocess_generated_text,
)
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from knowpack.bench.journal import Answer, Journal, key_of
from knowpack.errors import BenchError
from knowpack.model.chat import Chat
from knowpack.probe.askers import Prompted, TokenAsker, Windowed, check_logprobs
from knowpack.progress import SILENT, Progress

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

REQUESTS_AT_ONCE = 256
"""Asked together; the asker decides how many of them are under way."""
USUAL_WINDOW = 2048  # lm-eval's, where nothing says how long a prompt may be
MOST_NEW_TOKENS = 256  # as in lm-eval's `hf` backend


class Request(NamedTuple):
    """One log-likelihood."""

    context: list[int]
    answer: list[int]


class AskerLM(TemplateLM):  # type: ignore[misc]
    """lm-eval's LM over a TokenAsker."""

    def __init__(self, asker: TokenAsker, journal: Journal | None = None, progress: Progress = SILENT) -> None:
        """journal: answers that are known already, and where new ones go."""
        super().__init__()
        self.asker = asker
        self.tokenizer = asker.tokenizer
        self.journal = journal or Journal(None, asker.identity.weights)
        self.progress = progress
        self.cut: Counter[str] = Counter()
        """Task -> requests that were longer than the window and lost their beginning."""
        self._chat: Chat | None = None

    @property
    def model_name(self) -> str:
        """For lm-eval's own files."""
        return self.asker.name

    @property
    def n_tokens(self) -> int:
        """Requests asked together."""
        return REQUESTS_AT_ONCE

    @property
    def device(self) -> str:
        """Where the answers come from."""
        return self.asker.device

    @property
    def max_length(self) -> int:
        """Tokens that the model has places for."""
        window = self.asker.window if isinstance(self.asker, Windowed) else None
        return window or USUAL_WINDOW

    @property
    def tokenizer_name(self) -> str:
        """For lm-eval's own files."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    @property
    def eot_token_id(self) -> int:
        """The end of a text."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """What stands for an empty context."""
        first = self.tokenizer.bos_token_id
        return self.eot_token_id if first is None else int(first)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: object) -> list[int]:
        """As lm-eval's `hf` backend: a text that begins with the first token gets no second one."""
        if add_special_tokens is None and has_bos_prefix(string, self.tokenizer.decode(self.prefix_token_id)):
            add_special_tokens = False
        options = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        return [int(token) for token in self.tokenizer.encode(string, **options)]

    def loglikelihood(self, requests: "list[Instance]", disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Log-likelihood (nats) and greediness of each continuation after its context."""
        with self.progress.stage("tokenizing benchmark requests", len(requests)) as advance:
            encoded = []
            for request in requests:
                encoded.append(self._cut(self._encoded(*request.args), request.task_name or ""))
                advance(1)
        return self._score(encoded)

    def _loglikelihood_tokens(
        self, requests: list[tuple[Any, list[int], list[int]]], **_: object
    ) -> list[tuple[float, bool]]:
        """The same for requests that are tokens already (rolling windows)."""
        return self._score([self._cut(Request(context, answer), "") for _, context, answer in requests])

    def loglikelihood_rolling(self, requests: "list[Instance]", disable_tqdm: bool = False) -> list[float]:
        """Log-likelihood of whole texts, window by window, as lm-eval cuts them."""
        sums = []
        for request in requests:
            windows = get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length
                - 2,  # a window's tokens and its one of context, and one that the server adds
                context_len=1,
            )
            parts = [(None, *make_disjoint_window(window)) for window in windows]
            sums.append(sum(logprob for logprob, _ in self._loglikelihood_tokens(parts)))
        return sums

    def generate_until(self, requests: "list[Instance]", disable_tqdm: bool = False) -> list[str]:
        """Greedy text after each context, up to a stop text."""
        texts = []
        with self.progress.stage("benchmark generations", len(requests)) as advance:
            for begin in range(0, len(requests), REQUESTS_AT_ONCE):
                block = requests[begin : begin + REQUESTS_AT_ONCE]
                texts += self._generated(block)
                advance(len(block))
        self.journal.flush()
        return texts

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Turns as text, as the probe renders them: thinking off, the same day."""
        if self._chat is None:
            self._chat = Chat(self.tokenizer, {})
            self._chat.warn()
        return self._chat.prompt(chat_history) if add_generation_prompt else self._chat.continued(chat_history)

    def get_model_info(self) -> dict[str, object]:
        """What lm-eval writes into its results about the model."""
        return {"model_weights_hash": self.asker.identity.weights}

    def _encoded(self, context: str, answer: str) -> Request:
        if context:
            return Request(*self._encode_pair(context, answer))
        alone = self.tok_encode(answer, add_special_tokens=False)
        begins = alone[:1] == [self.prefix_token_id]
        return Request([self.prefix_token_id], alone[1:] if begins else alone)

    def _cut(self, request: Request, task: str) -> Request:
        """Without its beginning where it is too long: the window holds it and the one token that a server adds."""
        room = self.max_length - 1
        n_answer = len(request.answer)
        if not request.context or not 0 < n_answer < room:
            raise BenchError(
                f"a request has {len(request.context)} context and {n_answer} answer tokens; expected at least "
                f"one of each, and an answer of fewer than {room}, the model's window less one"
            )
        self.cut[task] += len(request.context) + n_answer > room
        return Request(request.context[-(room - n_answer) :], request.answer)

    def _score(self, requests: Sequence[Request]) -> list[tuple[float, bool]]:
        keys = [key_of("asked", *one.context, "|", *one.answer) for one in requests]
        answers = self.journal.known
        new = {key: one for key, one in zip(keys, requests, strict=True) if key not in answers}
        with self.progress.stage("benchmark log-likelihoods", len(new)) as advance:
            names = list(new)
            for begin in range(0, len(names), REQUESTS_AT_ONCE):
                block = names[begin : begin + REQUESTS_AT_ONCE]
                requests_left = [new[name] for name in block]
                scores = self.asker.logprobs(
                    [], [one.context for one in requests_left], [one.answer for one in requests_left]
                )
                check_logprobs((one.logprob for one in scores), self.asker.name)
                self.journal.add(Answer(name, one.logprob, one.greedy) for name, one in zip(block, scores, strict=True))
                advance(len(block))
        self.journal.flush()
        return [(answers[key].logprob, answers[key].greedy) for key in keys]  # type: ignore[misc]

    def _generated(self, requests: "Sequence[Instance]") -> list[str]:
        """Texts of a block; requests with the same settings are asked together."""
        texts: dict[int, str] = {}
        groups: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            groups.setdefault(repr(sorted(request.args[1].items(), key=str)), []).append(number)
        for numbers in groups.values():
            settings = normalize_gen_kwargs(requests[numbers[0]].args[1], MOST_NEW_TOKENS)
            if settings.get("do_sample"):
                raise BenchError(
                    f"{requests[numbers[0]].task_name} samples its answers; {self.asker.name} is asked greedily"
                )
            contexts = [(requests[number].args[0], requests[number].task_name or "") for number in numbers]
            texts.update(zip(numbers, self._greedy(contexts, settings), strict=True))
        return [texts[number] for number in range(len(requests))]

    def _greedy(self, contexts: Sequence[tuple[str, str]], settings: Any) -> list[str]:
        eos = self.tokenizer.decode([self.eot_token_id])
        stops = [stop for stop in handle_stop_sequences(settings["until"], eos=eos) if stop]
        n_new = int(settings["max_gen_toks"])
        room = self.max_length - n_new
        if room <= 0:
            raise BenchError(f"{n_new} new tokens do not fit the window of {self.max_length}; set max_gen_toks lower")
        prompts = []
        for context, task in contexts:
            ids = self.tok_encode(context)
            self.cut[task] += len(ids) > room
            prompts.append(ids[-room:])
        keys = [key_of("asked", *ids, "|", n_new, *stops) for ids in prompts]
        new = {key: ids for key, ids in zip(keys, prompts, strict=True) if key not in self.journal.known}

        def has_ended(ids: Sequence[int]) -> bool:
            text = self._text(ids)
            return any(stop in text for stop in stops)

        (answers,) = self.asker.generate_each([Prompted([], list(new.values()))], max_new_tokens=n_new, until=has_ended)
        self.journal.add(
            Answer(key, text=postprocess_generated_text(self._text(one.ids), stops, None))
            for key, one in zip(new, answers, strict=True)
        )
        return [self.journal.known[key].text or "" for key in keys]

    def _text(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))
