"""A cell whose base and adapter a vLLM server is asked about, trained on this machine: all as without the server."""

from pathlib import Path

import polars as pl

import tiny
import vllm_server
from knowpack import store
from knowpack.config import ModelConfig, RunConfig
from knowpack.run import run
from knowpack.settings import changed

SMALL = {
    "probe.n_prompts": 2,
    "probe.n_shots": 1,
    "probe.max_new_tokens": 4,
    "probe.noise": False,
    "further.n_facts": 0,
    "further.n_forms": 0,
    "further.text": None,
    "mix.n_unknown": 3,
    "train.epochs": 2,
    "train.lr": 0.03,
}


def test_a_cell_trains_here_and_probes_by_the_server(tmp_path: Path) -> None:
    given = tiny.save_all(tmp_path / "given", 8)
    asked = {**SMALL, "facts.path": str(given / "facts.parquet"), "probe.shots": str(given / "shots.csv")}
    plain = RunConfig(model=ModelConfig(name=str(given / "model")), work=str(tmp_path / "plain"))
    here = run(changed(plain, asked))
    with vllm_server.running(given / "model") as (server, vllm):
        named = ModelConfig(name=f"served:{server.url}#tiny")
        there = run(changed(RunConfig(model=named, work=str(tmp_path / "served")), asked))
        (loaded,) = [body for path, body in server.asked if path == "/v1/load_lora_adapter"]
        assert vllm.adapters == {}, "unloaded when the cell was measured"
        n_asked = sum(body.get("model") == loaded["lora_name"] for path, body in server.asked if "completions" in path)
    assert Path(str(loaded["lora_path"])) == there / "adapter"
    assert n_asked >= 8 * 2  # every fact under both prompts
    weights = "adapter/adapter_model.safetensors"
    assert store.hash_file(there / weights) == store.hash_file(here / weights)
    told = ["fact_id", "prompt", "form", "text"]
    answers = [pl.read_parquet(folder / "responses.parquet").select(told) for folder in (there, here)]
    assert answers[0].equals(answers[1])
    before = [store.read_manifest(folder)["base_dir"] for folder in (there, here)]
    first = [
        pl.read_parquet(f / str(b) / "responses.parquet")["text"] for f, b in zip((there, here), before, strict=True)
    ]
    assert not first[0].equals(answers[0]["text"]), "the adapter moved some answer"
    assert first[0].equals(first[1])
