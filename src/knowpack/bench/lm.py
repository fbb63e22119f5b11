"""The model class for lm-evaluation-harness: lm-eval's requests -> answers of the shared-prefix decoder.

Tokenization, special tokens and windows are lm-eval's own `hf` backend's, which this class extends; chat templates are
rendered as for the probe (model/chat.py), and how the tokens are computed is ours (forest.py, packed.py, the decoder).
Importing this module registers the model as `knowpack`:
`python -m knowpack.bench run --model knowpack --model_args pretrained=...,adapter=...`.
"""

import copy
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import (
    handle_stop_sequences,
    has_bos_prefix,
    normalize_gen_kwargs,
    postprocess_generated_text,
)

from knowpack.bench.journal import Answer, Journal, key_of
from knowpack.config import ModelConfig
from knowpack.decode import forest, packed
from knowpack.decode.decoder import Decoder
from knowpack.decode.forward import Forward
from knowpack.decode.ways import Way, Ways
from knowpack.errors import BenchError
from knowpack.model.chat import Chat
from knowpack.model.load import load
from knowpack.model.loaded import Loaded
from knowpack.probe.askers import check_logprobs
from knowpack.probe.prompts import common_prefix
from knowpack.progress import SILENT, Progress

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

TEXTS_AT_ONCE = 2048  # texts tokenized in one call
FIRST_TOKENS = 32  # a generation is looked at for its stop text after so many tokens, then twice, four times ...

CPU_TOKENS, GPU_TOKENS = 512, 8192  # in one forward (CPU: docs/benchmarks/bench.md; GPU: not measured)

Encoded = tuple[tuple[str, str] | None, list[int], list[int]]


@register_model("knowpack")
class KnowpackLM(HFLM):  # type: ignore[misc]
    """lm-eval's LM over a knowpack model.

    pretrained: a hub name, a folder, lab, or a Loaded. n_tokens: tokens computed in one forward (None: 512 on the CPU,
    else 8,192). journal: answers that are known already, and where new ones go. cut counts, task by task, the
    requests longer than the model's window.
    """

    def __init__(
        self,
        pretrained: str | Loaded = "lab",
        adapter: str | None = None,
        revision: str | None = None,
        dtype: str = "auto",
        device: str | None = None,
        n_tokens: int | None = None,
        max_length: int | None = None,
        journal: Journal | None = None,
        progress: Progress = SILENT,
        **lm_eval_options: Any,
    ) -> None:
        if isinstance(pretrained, str):
            if device is not None and device.startswith("cuda") and not torch.cuda.is_available():
                device = None  # lm-eval's command line says cuda:0 unless told otherwise; its own backend does the same
            settings = {"name": pretrained, "adapter": adapter, "revision": revision, "dtype": dtype}
            pretrained = load(ModelConfig.model_validate({**settings, "device": device or "auto"}))
        self.loaded = pretrained
        accepted = ("add_bos_token", "prefix_token_id", "chat_template_args")
        super().__init__(
            pretrained=pretrained.model,
            tokenizer=copy.deepcopy(pretrained.tokenizer),  # the backend adds a padding token to it
            max_length=max_length,
            batch_size=8,  # of the backend's own way, where texts are sampled
            **{name: value for name, value in lm_eval_options.items() if name in accepted},
        )
        self.n_tokens = int(n_tokens or (CPU_TOKENS if pretrained.device.type == "cpu" else GPU_TOKENS))
        self.journal = journal or Journal(None, pretrained.weights_hash)
        self.progress = progress
        self.cut: Counter[str] = Counter()
        self._forward = Forward(pretrained)
        self._ways = Ways(self._forward)
        self._decoder = Decoder(pretrained)
        self._chat: Chat | None = None

    @property
    def model_name(self) -> str:
        """For lm-eval's own files."""
        return self.loaded.name

    def loglikelihood(self, requests: "list[Instance]", disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Log-likelihood (nats) and greediness of each continuation after its context."""
        pairs = [request.args for request in requests]
        encoded: list[forest.Request] = []
        with self.progress.stage("tokenizing benchmark requests", len(pairs)) as advance:
            for begin in range(0, len(pairs), TEXTS_AT_ONCE):
                block = list(self._encode(pairs[begin : begin + TEXTS_AT_ONCE]))
                names = [request.task_name or "" for request in requests[begin : begin + TEXTS_AT_ONCE]]
                encoded += self._cut(block, names)
                advance(len(block))
        answers = self._score(encoded)
        for pair, answer in zip(pairs, answers, strict=True):
            self.cache_hook.add_partial("loglikelihood", pair, answer)
        return answers

    def _loglikelihood_tokens(
        self, requests: list[Encoded], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        """The same for requests that are tokens already (rolling windows)."""
        return self._score(self._cut(requests, [""] * len(requests)))

    def generate_until(self, requests: "list[Instance]", disable_tqdm: bool = False) -> list[str]:
        """Greedy text after each context, up to a stop text; sampling is left to lm-eval's backend."""
        texts: dict[int, str] = {}
        groups: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            settings = {key: request.args[1][key] for key in sorted(request.args[1])}
            groups.setdefault(f"{request.task_name}\n{settings}", []).append(number)
        with self.progress.stage("benchmark generations", len(requests)) as advance:
            for numbers in groups.values():
                contexts = [requests[number].args[0] for number in numbers]
                settings = normalize_gen_kwargs(requests[numbers[0]].args[1], self.max_gen_toks)
                if settings.get("do_sample"):
                    block = self._sampled([requests[number] for number in numbers])
                else:
                    block = self._generate(contexts, settings, requests[numbers[0]].task_name or "")
                texts.update(zip(numbers, block, strict=True))
                advance(len(numbers))
        return [texts[number] for number in range(len(requests))]

    def _sampled(self, requests: "list[Instance]") -> list[str]:
        """The backend's own way. Raises ModelError where the model gives no numbers to draw by."""
        try:
            texts: list[str] = super().generate_until(requests, True)
        except RuntimeError as error:
            if "probability tensor" in str(error):  # torch.multinomial's words
                check_logprobs([math.nan], self.loaded.name)
            raise
        return texts

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Turns as text, as the probe renders them: thinking off, the same day."""
        if self._chat is None:
            self._chat = Chat(self.tokenizer, self.chat_template_args)
            self._chat.warn()
        return self._chat.prompt(chat_history) if add_generation_prompt else self._chat.continued(chat_history)

    def get_model_info(self) -> dict[str, object]:
        """What lm-eval writes into its results about the model; asks no hub."""
        return {
            "model_num_parameters": self._model.num_parameters(),
            "model_dtype": str(self._model.dtype),
            "model_weights_hash": self.loaded.weights_hash,
        }

    def _encode(self, pairs: Sequence[tuple[str, str]]) -> Iterator[Encoded]:
        """As the backend's `_encode_pair`, every distinct text once and many at a time."""
        texts: list[tuple[str, str]] = []  # context, whole
        for context, continuation in pairs:
            if context and context != context.rstrip():  # blanks at the end belong to the continuation
                n = len(context) - len(context.rstrip())
                context, continuation = context[:-n], context[-n:] + continuation
            texts.append((context, context + continuation))
        ids = self._tokenize({text for pair in texts for text in pair if text})
        for pair, (context, whole) in zip(pairs, texts, strict=True):
            if pair[0] == "":  # the first token stands for an empty context
                alone = self.tok_encode(whole, add_special_tokens=False)
                begins = alone[:1] == [self.prefix_token_id]
                yield pair, [self.prefix_token_id], alone[1:] if begins else alone
            elif context == "":
                yield (pair, *self._encode_pair(*pair))
            else:
                yield pair, ids[context], ids[whole][len(ids[context]) :]

    def _tokenize(self, texts: Iterable[str]) -> dict[str, list[int]]:
        bos = self.tokenizer.decode(self.prefix_token_id)
        ids: dict[str, list[int]] = {}
        for special in (True, False):
            some = [text for text in texts if has_bos_prefix(text, bos) is not special]
            if some:
                add = {} if special and self.add_bos_token is None else {"add_special_tokens": special}
                if special and self.add_bos_token is not None:
                    add = {"add_special_tokens": bool(self.add_bos_token)}
                ids.update(zip(some, self.tokenizer(some, verbose=False, **add)["input_ids"], strict=True))
        return ids

    def _cut(self, requests: Sequence[Encoded], names: Sequence[str]) -> list[forest.Request]:
        """Requests as the forest takes them; what is longer than the window loses its beginning, and is counted."""
        cut = []
        interned: dict[bytes, bytes] = {}
        for (_, context, continuation), name in zip(requests, names, strict=True):
            if not context or not 0 < len(continuation) <= self.max_length:
                raise BenchError(
                    f"a request has {len(context)} context and {len(continuation)} answer tokens; expected at least "
                    f"one of each, and an answer of at most {self.max_length}, the model's window"
                )
            self.cut[name] += len(context) + len(continuation) > self.max_length + 1
            each = forest.request(context, continuation, self.max_length)
            cut.append(each._replace(fed=interned.setdefault(each.fed, each.fed)))
        return cut

    def _score(self, requests: list[forest.Request]) -> list[tuple[float, bool]]:
        keys = [key_of(each.fed, *each.targets) for each in requests]
        answers = self.journal.known
        new = {key: each for key, each in zip(keys, requests, strict=True) if key not in answers}
        names = list(new)
        with self.progress.stage("benchmark log-likelihoods", len(new)) as advance:

            def done(scores: list[packed.Scored]) -> None:
                self.journal.add(Answer(names[each.request], each.logprob, each.greedy) for each in scores)
                advance(len(scores))

            longest = max((forest.n_tokens(each) for each in new.values()), default=0)
            if self._ways.at(longest) is Way.SHARED:
                free = self._decoder.forget
                packed.score(self._forward, list(new.values()), n_tokens=self.n_tokens, done=done, free=free)
            else:
                packed.score_apart(self.loaded, list(new.values()), done=done)
        self.journal.flush()
        return [(answers[key].logprob, answers[key].greedy) for key in keys]  # type: ignore[misc]

    def _generate(self, contexts: Sequence[str], settings: Any, task: str) -> list[str]:
        eos = self.tok_decode(self.eot_token_id, skip_special_tokens=False)
        stops = handle_stop_sequences(settings["until"], eos=eos)
        n_new = int(settings["max_gen_toks"])
        room = self.max_length - n_new
        if room <= 0:
            raise BenchError(
                f"{n_new} new tokens do not fit the model's window of {self.max_length}; set max_gen_toks lower"
            )
        ids = self._tokenize(set(contexts))
        self.cut[task] += sum(len(ids[context]) > room for context in contexts)
        keys = {text: key_of(str(ids[text][-room:]), n_new, *stops) for text in ids}
        answers = self.journal.known
        prompts = {text: ids[text][-room:] for text in ids if keys[text] not in answers}
        prefix = common_prefix(list(prompts.values()))
        prefix = min(prefix, min((len(prompt) - 1 for prompt in prompts.values()), default=0))
        decoded: dict[str, list[int]] = {text: [] for text in prompts}
        n, left = min(FIRST_TOKENS, n_new), list(prompts)
        while left:
            texts = self._decoder.generate(
                prompts[left[0]][:prefix],
                [prompts[text][prefix:] for text in left],
                max_new_tokens=n,
                drafts=[decoded[text] for text in left],
            )
            decoded.update(zip(left, texts, strict=True))
            ended = [text for text in left if n == n_new or self._ended(decoded[text], n, stops)]
            self.journal.add(
                Answer(keys[text], text=postprocess_generated_text(self.tok_decode(decoded[text]), stops, None))
                for text in ended
            )
            left = [text for text in left if keys[text] not in answers]
            n = min(2 * n, n_new)
        self.journal.flush()
        return [answers[keys[context]].text or "" for context in contexts]

    def _ended(self, answer: Sequence[int], n: int, stops: Sequence[str]) -> bool:
        text = self.tok_decode(answer)
        return len(answer) < n or any(stop and stop in text for stop in stops)
