"""Benchmarks of a served model: log-likelihoods by `echo` are those of lm-eval's `hf` backend on the same weights."""

import logging
from pathlib import Path

import pytest
from lm_eval.api.instance import Instance
from lm_eval.evaluator import simple_evaluate
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM, AutoTokenizer

import tiny
import vllm_server
from fake_server import Reply, Running, completion, listing, serving
from knowpack.bench import tasks
from knowpack.bench.asker_lm import AskerLM
from knowpack.bench.evaluate import evaluate
from knowpack.config import BenchConfig, ModelConfig
from knowpack.errors import BenchError, ModelError
from knowpack.probe.askers import TokenAsker
from knowpack.served.opening import open_asker
from knowpack.settings import changed

CONFIG = BenchConfig(tasks=("lab_mc",), limit=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_model(tmp_path_factory.mktemp("vllm") / "model")


def opened(server: Running) -> TokenAsker:
    settings = {"name": f"served:{server.url}#tiny", "served.retries": 0, "served.timeout_seconds": 120}
    asker = open_asker(changed(ModelConfig(), settings))
    assert not hasattr(asker, "answer")
    return asker  # type: ignore[return-value]


def hf(folder: Path, **options: object) -> HFLM:
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4, **options)  # type: ignore[arg-type]


def instances(kind: str, *arguments: tuple[object, ...]) -> list[Instance]:
    return [Instance(kind, {}, args, i, ("task", i, 1)) for i, args in enumerate(arguments)]  # type: ignore[arg-type]


PAIRS = [
    ("Question: Who wrote the book of Mira Solen?\nAnswer:", " Tavin Okro"),
    ("Question: Who wrote the book of Mira Solen?\nAnswer:", " Orlen Works."),
    ("Blanks behind  ", "go to the answer"),
    ("", "An empty context"),
    ("<s>One first token", " only"),
]


def test_log_likelihoods_and_texts_are_those_of_the_hf_backend(folder: Path) -> None:
    theirs = hf(folder)
    with vllm_server.running(folder) as (server, _):
        ours = AskerLM(opened(server))
        asked = instances("loglikelihood", *PAIRS)
        found, expected = ours.loglikelihood(asked), theirs.loglikelihood(asked, disable_tqdm=True)
        whole = instances("loglikelihood_rolling", ("Where is the city of Branvel? " * 3,))
        rolled = ours.loglikelihood_rolling(whole), theirs.loglikelihood_rolling(whole, disable_tqdm=True)
        texts = instances("generate_until", *((pair[0], {"until": ["e"], "max_gen_toks": 12}) for pair in PAIRS[:3]))
        written = ours.generate_until(texts), theirs.generate_until(texts, disable_tqdm=True)
    assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]
    assert [value for value, _ in found] == pytest.approx([value for value, _ in expected], abs=1e-3)
    assert rolled[0] == pytest.approx(rolled[1], abs=1e-3)
    assert written[0] == written[1]
    assert any(written[0])


def test_a_request_longer_than_the_servers_window_loses_its_beginning_and_is_counted(folder: Path) -> None:
    """512 places: what is asked, and the one token that a completion adds."""
    context = "Where is the city of Branvel? " * 90
    with vllm_server.running(folder) as (server, _):
        ours = AskerLM(opened(server))
        found = ours.loglikelihood(instances("loglikelihood", (context, " Orlen"), ("short", " A")))
        longest = max(len(body["prompt"]) for path, body in server.asked if body.get("echo"))
        with pytest.raises(BenchError, match="answer of fewer than 511, the model's window less one"):
            ours.loglikelihood(instances("loglikelihood", ("A", context)))
    assert (longest, ours.cut["task"]) == (511, 1)
    expected = hf(folder, max_length=510).loglikelihood(
        instances("loglikelihood", (context, " Orlen")), disable_tqdm=True
    )  # the hf backend feeds all tokens but the last: 510 of 511
    assert found[0][0] == pytest.approx(expected[0][0], abs=1e-3)


def test_a_benchmark_of_a_served_model_has_lm_evals_scores_and_goes_on_after_a_break(
    folder: Path, tmp_path: Path
) -> None:
    objects = [part for each in tasks.load(CONFIG.tasks, CONFIG) for part in each.objects]
    with tasks.quiet():
        expected = simple_evaluate(model=hf(folder), tasks=objects, task_manager=tasks.bare_manager(), limit=4)
    with vllm_server.running(folder) as (server, vllm):
        asker, plain = opened(server), vllm.__class__.__call__
        asked: list[dict] = []

        def breaks(self: vllm_server.Vllm, path: str, body: dict) -> Reply:
            asked.append(body)
            return (500, {"error": {"message": "out of memory"}}) if len(asked) > 6 else plain(self, path, body)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(vllm_server.Vllm, "__call__", breaks)
            with pytest.raises(ModelError, match=r"out of memory.*run the same command again"):
                evaluate(asker, CONFIG, tmp_path / "out")
        before = len(server.asked)
        scores = evaluate(asker, CONFIG, tmp_path / "out")
        again = len(server.asked) - before
    (row,) = scores.filter(scores["metric"] == "acc").iter_rows(named=True)
    assert row["value"] == pytest.approx(expected["results"]["lab_mc"]["acc,none"])
    assert row["n"] == 4
    assert again == 16 - 6, "four questions of four choices; six were answered before"
    assert not (tmp_path / "out" / "partial").exists()


def test_a_server_that_does_not_echo_is_one_line_and_no_score(folder: Path, tmp_path: Path) -> None:
    with (
        vllm_server.running(folder, "no_echo") as (server, _),
        pytest.raises(ModelError, match="does not echo") as error,
    ):
        evaluate(opened(server), CONFIG, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out" / "scores.parquet").exists()


def test_an_api_for_chats_alone_has_no_benchmarks_and_one_line_says_why(tmp_path: Path) -> None:
    def says(path: str, body: dict) -> Reply:
        return listing("chat", owned_by="someone") if path == "/v1/models" else completion("Paris")

    with serving(says) as server:
        asker = open_asker(changed(ModelConfig(), {"name": f"served:{server.url}#chat", "served.retries": 0}))
        with pytest.raises(
            ModelError, match="a benchmark needs token ids and log-likelihoods, and chat is asked by text"
        ):
            evaluate(asker, CONFIG, tmp_path / "out")
        assert not [path for path, _ in server.asked if "completions" in path]
