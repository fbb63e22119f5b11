"""The lab behind llama.cpp's own server, asked by text: the answers are transformers', adapters off unless asked."""

from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

import llama_server
import tiny
from commands import call
from knowpack.base import open_base, probe_into
from knowpack.bench.evaluate import evaluate
from knowpack.config import BenchConfig, ModelConfig, RunConfig
from knowpack.diff import diff
from knowpack.errors import ModelError
from knowpack.model.load import load
from knowpack.pack.flow import pack
from knowpack.pack.request import Request
from knowpack.records import Response
from knowpack.served.opening import open_asker
from knowpack.served.text_asker import ServedTextAsker
from knowpack.settings import override
from knowpack.store import read_table


class Served(NamedTuple):
    model: str
    """served:...#lab"""
    folder: Path
    running: llama_server.LlamaServer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    folder = tmp_path_factory.mktemp("llama")
    model, loud, silent = llama_server.lab_files(load(ModelConfig(name="lab")), folder)
    running = llama_server.start(model, "lab", [loud, silent])
    return Served(f"served:{running.url}#lab", folder, running)


def config(model: str, tmp_path: Path, *settings: str) -> RunConfig:
    plain = RunConfig(model=ModelConfig(name=model), work=str(tmp_path / "work"))
    asked = ["facts.path=lab", "facts.sample=20", "probe.shots=lab", "probe.n_prompts=2", "probe.noise=false"]
    return override(plain, [*asked, *settings])


def test_forty_of_forty_answers_through_llama_cpp_are_those_of_transformers(served: Served, tmp_path: Path) -> None:
    """Two adapters are loaded and on by default: only explicit zeros turn them off."""
    through, plain = (
        probe_into(config(name, tmp_path), tmp_path / out) for name, out in ((served.model, "served"), ("lab", "plain"))
    )
    theirs, ours = (base.responses.collect().select("fact_id", "prompt", "text") for base in (through, plain))
    assert theirs.height == 40
    assert theirs.rows() == ours.rows()
    assert through.knowledge.equals(plain.knowledge)
    assert through.asker.identity != plain.asker.identity


def test_an_empty_list_of_adapters_leaves_them_on_in_llama_cpp(served: Served) -> None:
    """Why zeros are sent: the trap is the server's, and is watched here."""
    asker = open_asker(ModelConfig(name=served.model))
    assert isinstance(asker, ServedTextAsker)
    assert asker.extra == {"lora": [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 0.0}]}
    chats = [[{"role": "user", "content": f"Question: Where was number {i} born?"}] for i in range(4)]
    zeros, empty, none, both = (
        ServedTextAsker(asker.server, asker.description, None, "lab", extra=extra).answer(chats, max_new_tokens=8)
        for extra in (asker.extra, {"lora": []}, None, {"lora": [{"id": 0, "scale": 1.0}, {"id": 1, "scale": 1.0}]})
    )
    assert empty == none == both
    assert zeros != empty


def test_an_adapter_is_on_inside_its_block_alone_and_has_an_identity_by_content(served: Served) -> None:
    asker = open_asker(ModelConfig(name=served.model))
    chats = [[{"role": "user", "content": f"Question: Where was number {i} born?"}] for i in range(4)]
    before = asker.answer(chats, max_new_tokens=8)
    with asker.with_adapter("loud") as loud:
        assert loud.answer(chats, max_new_tokens=8) != before
    with asker.with_adapter(served.folder / "silent.gguf") as silent:
        assert silent.answer(chats, max_new_tokens=8) == before
    assert asker.answer(chats, max_new_tokens=8) == before
    assert len({asker.identity.weights, loud.identity.weights, silent.identity.weights}) == 3
    named = open_asker(ModelConfig(name=served.model, adapter="loud"))
    assert named.identity == loud.identity
    one = chats[:1]  # alone: beside others the server's sums round otherwise, and a random adapter's choices are near
    assert named.answer(one, max_new_tokens=8) == loud.answer(one, max_new_tokens=8)


def test_an_adapter_that_the_server_lacks_is_one_line_with_those_it_has(served: Served) -> None:
    with pytest.raises(ModelError, match=r"lacks the adapter nosuch; it has loud.gguf, silent.gguf: start it with"):
        open_asker(ModelConfig(name=served.model, adapter="nosuch"))


def test_a_command_takes_an_adapter_by_the_name_that_the_server_has_it_under(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was looked for as a folder of this machine, and not found."""
    monkeypatch.chdir(tmp_path)
    asked = [
        "--facts",
        "lab",
        "--shots",
        "lab",
        "--sample",
        4,
        "--set",
        "probe.n_prompts=1",
        "--set",
        "probe.noise=false",
    ]
    assert call(monkeypatch, "probe", "--model", served.model, "--adapter", "loud.gguf", *asked, "--out", "probed") == 0
    assert read_table(tmp_path / "probed" / "responses.parquet", Response).height == 4


def test_two_models_are_compared_by_text(served: Served, tmp_path: Path) -> None:
    asked = config(served.model, tmp_path)
    folder = diff(asked, asked.model.model_copy(update={"adapter": "loud"}), tmp_path / "diff")
    after = read_table(folder / "responses.parquet", Response)
    assert after.height == 40
    shifts = pl.read_parquet(folder / "shifts.parquet").filter(pl.col("grader") == "default")
    known = shifts.filter(pl.col("before") == "HighlyKnown")
    assert known.height > 2
    assert set(known["after"]) == {"Unknown"}  # random numbers in every layer: all that it knew is gone
    with pytest.raises(ModelError, match=r"lab is asked by text, .* by token ids: two prompts that differ"):
        diff(asked, ModelConfig(name="lab"), tmp_path / "other")


def test_what_needs_log_likelihoods_or_weights_is_refused_in_one_line_before_anything_is_asked(
    served: Served, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="a benchmark needs token ids and log-likelihoods, and lab is asked by text"):
        open_base(config(served.model, tmp_path, "bench.tasks=[lab_mc]"))
    with pytest.raises(ModelError, match="a benchmark needs token ids"):
        evaluate(open_asker(ModelConfig(name=served.model)), BenchConfig(tasks=("lab_mc",)), tmp_path / "bench")
    facts, model = str(tiny.save_facts(tmp_path / "facts.parquet")), ModelConfig(name=served.model)
    packed = Request(facts=facts, known="lab", out=tmp_path / "pack", model=model, work=str(tmp_path / "work"))
    with pytest.raises(ModelError, match="training needs the weights of lab in memory"):
        pack(packed)
    with pytest.raises(ModelError, match="is a server's; this needs the weights in memory"):
        load(ModelConfig(name=served.model))
    assert not (tmp_path / "work").exists()
