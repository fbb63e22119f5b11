"""The model class against lm-eval's own `hf` backend, request by request."""

import logging
import random
from collections.abc import Sequence

import pytest
import transformers
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

import templates
from knowpack.bench.asker_lm import AskerLM
from knowpack.bench.lm import KnowpackLM
from knowpack.decode.scoring import ScoredContinuation
from knowpack.decode.transformers_asker import TransformersAsker
from knowpack.decode.ways import Way
from knowpack.errors import BenchError, ModelError

from .conftest import TEXT, build

ARCHITECTURES = ["llama", "gpt_neox", "mistral_window", "gpt2", "bloom"]


def instances(kind: str, arguments: Sequence[tuple[object, ...]]) -> list[Instance]:
    return [Instance(kind, {}, args, i, ("task", i, 1)) for i, args in enumerate(arguments)]  # type: ignore[arg-type]


def hf(name: str, **options: object) -> HFLM:
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    other = build(name)
    return HFLM(pretrained=other.model, tokenizer=other.tokenizer, batch_size=4, **options)  # type: ignore[arg-type]


def questions() -> list[tuple[str, str]]:
    """Few-shot blocks with questions behind them; letters, longer choices, and the traps of encoding pairs."""
    rng = random.Random(0)
    words = TEXT.split()
    found = []
    for _ in range(3):
        shots = " ".join(rng.choices(words, k=120))
        for _ in range(6):
            question = f"{shots}\n\n{' '.join(rng.choices(words, k=rng.randint(5, 30)))}\nAnswer:"
            found += [(question, f" {letter}") for letter in "ABCD"]
    for _ in range(5):
        question = f"Question: {' '.join(rng.choices(words, k=8))}\nAnswer:"
        found += [(question, " " + " ".join(rng.choices(words, k=rng.randint(1, 6)))) for _ in range(4)]
    traps = [("", "An empty context"), ("", "A"), ("Blanks behind  ", "go to the answer"), ("<s>One BOS", " only")]
    return [*found, *traps, (" ".join(rng.choices(words, k=700)), " longer than the window")]


@pytest.mark.filterwarnings("ignore:.*cannot share a prefix")
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_log_likelihoods_are_those_of_the_hf_backend(name: str) -> None:
    requests = instances("loglikelihood", questions())
    ours = KnowpackLM(build(name), n_tokens=512, max_length=300).loglikelihood(requests)
    theirs = hf(name, max_length=300).loglikelihood(requests, disable_tqdm=True)
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]
    assert [value for value, _ in ours] == pytest.approx([value for value, _ in theirs], abs=1e-3)


def test_requests_longer_than_the_window_are_counted() -> None:
    lm = KnowpackLM(build("llama"), max_length=300)
    lm.loglikelihood(instances("loglikelihood", [("A word " * 400, " A"), ("short", " A")]))
    assert lm.cut == {"task": 1}


def test_a_cut_request_is_not_warned_of_as_an_indexing_error(caplog: pytest.LogCaptureFixture) -> None:
    loaded = build("llama")
    loaded.tokenizer.model_max_length = 300
    transformers.utils.logging.enable_propagation()
    try:
        KnowpackLM(loaded, max_length=300).loglikelihood(instances("loglikelihood", [("A word " * 400, " A")]))
    finally:
        transformers.utils.logging.disable_propagation()
    assert "indexing errors" not in caplog.text


def test_an_answer_longer_than_the_window_is_an_error() -> None:
    with pytest.raises(BenchError, match="an answer of at most 10, the model's window"):
        KnowpackLM(build("llama"), max_length=10).loglikelihood(instances("loglikelihood", [("a", " word" * 30)]))


@pytest.mark.parametrize("name", ["llama", "gpt_neox"])
def test_rolling_log_likelihoods_are_those_of_the_hf_backend(name: str) -> None:
    requests = instances("loglikelihood_rolling", [(TEXT,), (TEXT * 5,), ("A",)])
    ours = KnowpackLM(build(name), max_length=64).loglikelihood_rolling(requests, disable_tqdm=True)
    theirs = hf(name, max_length=64).loglikelihood_rolling(requests, disable_tqdm=True)
    assert ours == pytest.approx(theirs, abs=1e-3)


@pytest.mark.parametrize("name", ["llama", "gpt_neox"])
def test_generated_texts_are_those_of_the_hf_backend(name: str) -> None:
    rng = random.Random(1)
    prompts = [TEXT + " ".join(rng.choices(TEXT.split(), k=rng.randint(3, 20))) for _ in range(9)]
    settings = {"until": ["e", "\n\n"], "max_gen_toks": 40}
    requests = instances("generate_until", [(prompt, dict(settings)) for prompt in [*prompts, prompts[0]]])
    more = instances("generate_until", [(prompt, {"until": ["zzz"], "max_gen_toks": 70}) for prompt in prompts])
    ours = KnowpackLM(build(name)).generate_until([*requests, *more])
    theirs = hf(name).generate_until([*requests, *more], disable_tqdm=True)
    assert ours == theirs
    assert len({len(text) for text in ours}) > 2  # some ended early


def test_a_chat_template_that_thinks_is_rendered_with_thinking_off() -> None:
    loaded = build("llama")
    loaded.tokenizer.chat_template = templates.SWITCH
    turns = [{"role": "user", "content": "What?"}]
    expected = hf("llama", chat_template_args={"enable_thinking": False})
    expected.tokenizer.chat_template = templates.SWITCH
    ours = KnowpackLM(loaded).apply_chat_template(turns)
    assert ours == expected.apply_chat_template(turns)
    assert ours.endswith("<think>\n\n</think>\n\n")
    asked = KnowpackLM(loaded, chat_template_args={"enable_thinking": True})  # whoever asks for thoughts gets them
    assert not asked.apply_chat_template(turns).endswith("</think>\n\n")


def test_a_chat_template_is_rendered_as_the_hf_backend_renders_it() -> None:
    turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}, {"role": "user", "content": "R"}]
    ours, theirs = KnowpackLM(build("llama")), hf("llama")
    assert (
        ours.apply_chat_template(turns)
        == theirs.apply_chat_template(turns)
        == ("<s>[user] Q\n[assistant] A\n[user] R\n[assistant] ")
    )
    rendered = ours.apply_chat_template(turns)
    assert ours.tok_encode(rendered)[:2].count(0) == 1  # one BOS
    requests = instances("loglikelihood", [(rendered, "A"), (rendered, "B and C")])
    expected = theirs.loglikelihood(requests, disable_tqdm=True)
    for found, wanted in zip(ours.loglikelihood(requests), expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-3)


def test_the_tokenizer_of_the_caller_stays_as_it_was() -> None:
    loaded = build("llama")
    KnowpackLM(loaded)
    assert loaded.tokenizer.pad_token is None


def test_an_architecture_that_cannot_share_a_prefix_says_so_and_scores_all_the_same() -> None:
    with pytest.warns(UserWarning, match="cannot share a prefix"):
        found = KnowpackLM(build("bloom")).loglikelihood(instances("loglikelihood", [("A context", " B")]))
    assert len(found) == 1


@pytest.mark.parametrize("way", [Way.SHARED, Way.WHOLE])
def test_a_model_that_gives_no_number_is_an_error_not_a_wrong_answer(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = build("llama")
    lm = KnowpackLM(loaded)
    monkeypatch.setattr(lm._ways, "at", lambda *_: way)
    loaded.model.get_input_embeddings().weight.data.fill_(float("nan"))
    with pytest.raises(ModelError, match=r"llama gives no number \(NaN"):
        lm.loglikelihood(instances("loglikelihood", [("A context", " B")]))
    with pytest.raises(ModelError, match=r"llama gives no number \(NaN"):
        lm.generate_until(instances("generate_until", [("A context", {"until": ["."], "max_gen_toks": 4})]))
    drawn = {"until": ["."], "max_gen_toks": 4, "do_sample": True, "temperature": 1.0}
    with pytest.raises(ModelError, match=r"llama gives no number \(NaN"):  # lm-eval's own way: torch's traceback
        lm.generate_until(instances("generate_until", [("A context", drawn)]))


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_an_asker_that_gives_no_number_is_an_error_not_a_wrong_answer(value: float) -> None:
    """NaN is neither more nor less than the other choices', so that the item counted as wrong."""

    class Broken(TransformersAsker):
        def logprobs(self, prefix: object, tails: object, continuations: object) -> list[ScoredContinuation]:
            return [ScoredContinuation(value, 1, False, (value,))]

    with pytest.raises(ModelError, match=r"llama gives no number \(NaN"):
        AskerLM(Broken(build("llama"))).loglikelihood(instances("loglikelihood", [("A context", " B")]))
