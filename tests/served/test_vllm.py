"""A model asked by token ids behind vLLM's protocol: ids, log-probabilities, adapters as by transformers and peft."""

import gc
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

import tiny
import vllm_server
from fake_server import Running
from knowpack.base import open_base, probe_into
from knowpack.config import ModelConfig, RunConfig, TrainConfig
from knowpack.decode.transformers_asker import TransformersAsker, weights_of
from knowpack.errors import ModelError
from knowpack.model.load import load
from knowpack.probe.askers import Prompted
from knowpack.served.client import Ask
from knowpack.served.opening import open_asker
from knowpack.served.text_asker import ServedTextAsker
from knowpack.served.token_asker import ServedTokenAsker, _answered, _echoed
from knowpack.settings import changed
from knowpack.train import lora


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_model(tmp_path_factory.mktemp("vllm") / "model")


def an_adapter(folder: Path, out: Path, size: float = 0.3) -> Path:
    loaded = load(ModelConfig(name=str(folder)))
    with lora.adapted(loaded.model, TrainConfig(rank=2, alpha=4), 1) as model:
        torch.manual_seed(0)
        for weight in lora.weights(model):
            torch.nn.init.normal_(weight, std=size) if size else torch.nn.init.zeros_(weight)
        lora.save(model, out)
    return out


def config(server: Running, **served: object) -> ModelConfig:
    settings = {"retries": 0, "timeout_seconds": 120, **served}
    return changed(
        ModelConfig(), {"name": f"served:{server.url}#tiny", **{f"served.{k}": v for k, v in settings.items()}}
    )


def opened(server: Running, **served: object) -> ServedTokenAsker:
    asker = open_asker(config(server, **served))
    assert isinstance(asker, ServedTokenAsker)
    return asker


PREFIX, TAILS = [0, 5, 6], [[7], [9, 10], [7]]


def test_ids_log_probabilities_and_their_greediness_are_those_of_transformers(folder: Path) -> None:
    here = TransformersAsker(load(ModelConfig(name=str(folder))))
    with vllm_server.running(folder) as (server, _):
        asker = opened(server)
        theirs = asker.generate_each([Prompted(PREFIX, TAILS), Prompted([], [[3, 4]])], max_new_tokens=6)
        ours = here.generate_each([Prompted(PREFIX, TAILS), Prompted([], [[3, 4]])], max_new_tokens=6)
        assert [[one.ids for one in rows] for rows in theirs] == [[one.ids for one in rows] for rows in ours]
        for mine, other in zip([*theirs[0], *theirs[1]], [*ours[0], *ours[1]], strict=True):
            assert mine.logprobs == pytest.approx(other.logprobs, abs=1e-4)
        greedy = theirs[0][0].ids
        continuations = [greedy, [11, 12, 13], []]
        scored = asker.logprobs(PREFIX, TAILS, continuations)
        expected = here.logprobs(PREFIX, TAILS, continuations)
        assert [one.greedy for one in scored] == [one.greedy for one in expected] == [True, False, True]
        assert [one.logprob for one in scored] == pytest.approx([one.logprob for one in expected], abs=1e-4)
        assert asker.n_vocabulary == here.n_vocabulary


def test_the_stop_token_ends_an_answer_and_is_left_out_and_its_log_probability_is_kept(folder: Path) -> None:
    with vllm_server.running(folder) as (server, _):
        asker = opened(server)
        tails = [[token] for token in range(20, 30)]
        free = asker.generate_each([Prompted(PREFIX, tails)], max_new_tokens=4)[0]
        places = [one.ids.index(one.ids[-1]) for one in free]  # where the last token comes first: some repeat it
        row = max(range(len(tails)), key=places.__getitem__)
        asker.local.__dict__["stop_ids"] = frozenset([free[row].ids[-1]])
        ended = asker.generate_each([Prompted(PREFIX, tails)], max_new_tokens=6)[0][row]
        assert places[row] > 0
        assert ended.ids == free[row].ids[: places[row]]
        assert ended.logprobs == pytest.approx((free[row].logprobs or ())[: places[row] + 1], abs=1e-5)
        asker.local.__dict__["stop_ids"] = frozenset()
        asked, last = [Prompted(PREFIX, tails)], free[row].ids[-1]
        cut = asker.generate_each(asked, max_new_tokens=6, until=lambda ids: ids[-1] == last)[0][row]
        assert cut.ids == free[row].ids[: places[row] + 1]  # with the token that ends it, of which it was told
        assert len(cut.logprobs or ()) == len(cut.ids)


def test_equal_questions_are_sampled_each_with_a_seed_of_its_own(folder: Path) -> None:
    with vllm_server.running(folder) as (server, _):
        asker = opened(server)
        asker.generate(PREFIX, TAILS, max_new_tokens=2, temperature=1.0, seed=5)
        seeds = [body.get("seed") for path, body in server.asked if path == "/v1/completions"][-3:]
    assert sorted(seeds) == [5, 5, 6]


def test_the_probe_through_vllm_is_that_of_transformers_and_is_kept_apart(folder: Path, tmp_path: Path) -> None:
    facts, shots = str(tiny.save_facts(tmp_path / "facts.parquet", 5)), str(tiny.save_shots(tmp_path / "shots.csv"))
    asked = {"facts.path": facts, "probe.shots": shots, "probe.n_prompts": 2, "probe.noise": False}
    with vllm_server.running(folder) as (server, _):
        run = RunConfig(model=config(server))
        through = probe_into(changed(run, {**asked, "work": str(tmp_path / "work")}), tmp_path / "served")
        key = through.asker.identity
    plain = probe_into(
        changed(RunConfig(model=ModelConfig(name=str(folder))), {**asked, "work": str(tmp_path / "work")}),
        tmp_path / "plain",
    )
    columns = ["fact_id", "prompt", "text"]
    assert through.responses.select(columns).collect().equals(plain.responses.select(columns).collect())
    assert key.tokenizer == plain.asker.identity.tokenizer
    assert key.weights != plain.asker.identity.weights


def test_an_adapter_answers_as_by_plain_peft_under_a_name_made_of_its_content(folder: Path, tmp_path: Path) -> None:
    adapter = an_adapter(folder, tmp_path / "adapter")
    here = TransformersAsker(load(ModelConfig(name=str(folder))))
    with vllm_server.running(folder) as (server, vllm):
        asker = opened(server)
        before = asker.generate(PREFIX, TAILS, max_new_tokens=6)
        with asker.with_adapter(adapter) as tuned, here.with_adapter(adapter) as expected:
            names = list(vllm.adapters)
            found = tuned.generate(PREFIX, TAILS, max_new_tokens=6)
            assert found == expected.generate(PREFIX, TAILS, max_new_tokens=6)
            assert found != before
        assert vllm.adapters == {}
        assert vllm.unloaded == names
        assert asker.generate(PREFIX, TAILS, max_new_tokens=6) == before
        other = an_adapter(folder, tmp_path / "other", 0.31)
        with asker.with_adapter(other) as second:
            assert list(vllm.adapters) != names
        assert len({asker.identity.weights, tuned.identity.weights, second.identity.weights}) == 3


def test_a_model_opened_with_its_adapter_keeps_it_and_another_process_finds_it_loaded(
    folder: Path, tmp_path: Path
) -> None:
    adapter = an_adapter(folder, tmp_path / "adapter")
    with vllm_server.running(folder) as (server, vllm):
        named = changed(config(server), {"adapter": str(adapter)})
        first, second = open_asker(named), open_asker(named)
        gc.collect()
        assert len(vllm.adapters) == 1
        assert vllm.unloaded == []
        assert first.identity == second.identity
        assert first.name == "tiny + adapter"
        assert len([path for path, _ in server.asked if path == "/v1/load_lora_adapter"]) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("no_runtime_lora", "is not loaded: .*VLLM_ALLOW_RUNTIME_LORA_UPDATING"),
        ("forgets_adapters", "took the adapter .* and does not list it"),
        ("ignores_adapters", "changes nothing on the server"),
    ],
)
def test_an_adapter_that_the_server_does_not_use_is_refused_in_one_line(
    folder: Path, tmp_path: Path, fault: str, said: str
) -> None:
    adapter = an_adapter(folder, tmp_path / "adapter")
    with vllm_server.running(folder, fault) as (server, _):
        asker = opened(server)
        with pytest.raises(ModelError, match=said) as error, asker.with_adapter(adapter):
            pass
    assert "\n" not in str(error.value)


def test_an_adapter_of_which_the_server_uses_a_part_is_refused(folder: Path, tmp_path: Path) -> None:
    """The server has another adapter behind the folder's name: it moves something, and not what peft moves."""
    adapter, other = an_adapter(folder, tmp_path / "adapter"), an_adapter(folder, tmp_path / "other", 0.2)
    with vllm_server.running(folder) as (server, vllm):
        asker = opened(server)
        with asker.with_adapter(adapter):
            name = next(iter(vllm.adapters))
        vllm.adapters[name] = str(other)
        with (
            pytest.raises(ModelError, match="does something else on the server than by peft"),
            asker.with_adapter(adapter),
        ):
            pass


def test_another_model_than_the_one_whose_files_are_here_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    tiny.llama(len(tiny.tokenizer()), seed=1).save_pretrained(other)
    tiny.tokenizer().save_pretrained(other)
    with (
        vllm_server.running(folder) as (server, _),
        pytest.raises(ModelError, match=r"as served is not the model in .*nats a token"),
    ):
        opened(server, weights=str(other))


@pytest.mark.parametrize(
    ("fault", "said"), [("no_echo", "does not echo a prompt"), ("no_ids", "gave no ids with log-probabilities")]
)
def test_a_server_without_ids_or_echo_is_one_line(folder: Path, fault: str, said: str) -> None:
    with vllm_server.running(folder, fault) as (server, _), pytest.raises(ModelError, match=said):
        opened(server).logprobs([], [[5]], [[6]])


def test_a_server_that_gives_nan_is_one_line() -> None:
    """Python reads NaN and Infinity as JSON."""
    said = {"token_ids": [5], "logprobs": {"token_logprobs": [float("nan")]}}
    echoed = {"tokens": ["token_id:5"], "token_logprobs": [float("-inf")], "top_logprobs": [{"token_id:6": -0.5}]}
    with pytest.raises(ModelError, match="the model at http://here gives no number"):
        _answered("http://here", Ask({}), {"choices": [said]})
    with pytest.raises(ModelError, match="the model at http://here gives no number"):
        _echoed("http://here", Ask({"prompt": [5]}, 1), {"choices": [{"logprobs": echoed}]})


def test_nothing_is_echoed_at_the_start_since_vllm_may_die_of_it(folder: Path, tmp_path: Path) -> None:
    adapter = an_adapter(folder, tmp_path / "adapter")
    with vllm_server.running(folder) as (server, _):
        with opened(server).with_adapter(adapter) as tuned:
            tuned.generate([], [[5]], max_new_tokens=1)
        assert [body for _, body in server.asked if body.get("echo")] == []


def test_a_folder_with_the_tokenizer_alone_is_enough_to_ask_and_not_to_train(folder: Path, tmp_path: Path) -> None:
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "tokenizer")
    (tmp_path / "tokenizer" / "config.json").write_bytes((folder / "config.json").read_bytes())
    with vllm_server.running(folder) as (server, _):
        asker = opened(server, weights=str(tmp_path / "tokenizer"))
        assert asker.checked is not None
        assert asker.checked.gap is None
        assert asker.generate(PREFIX, TAILS, max_new_tokens=3) == opened(server).generate(
            PREFIX, TAILS, max_new_tokens=3
        )
        with pytest.raises(ModelError, match=r"the weights of tiny are not in .*tokenizer; only its tokenizer is"):
            weights_of(asker, "training")
        assert weights_of(opened(server), "training").weights_hash


def test_a_vllm_is_asked_by_text_where_its_tokenizer_is_nowhere_or_text_is_wanted(folder: Path, tmp_path: Path) -> None:
    with vllm_server.running(folder) as (server, vllm):
        assert isinstance(open_asker(config(server, by="text")), ServedTextAsker)
        vllm.folder = tmp_path / "elsewhere"
        with pytest.warns(UserWarning, match=r"the tokenizer of tiny is not on this machine.*it is asked by text"):
            assert isinstance(open_asker(config(server)), ServedTextAsker)
        with pytest.raises(ModelError, match=r"name its folder or hub name with model\.served\.weights"):
            open_asker(config(server, by="tokens"))


def test_a_server_that_is_no_vllm_is_not_asked_by_token_ids(folder: Path) -> None:
    from fake_server import listing, serving

    with (
        serving(lambda path, body: listing("tiny", owned_by="llamacpp")) as server,
        pytest.raises(ModelError, match="does not say that it is vLLM"),
    ):
        open_base(RunConfig(model=config(server, by="tokens")))
