"""One side of benchmarks/peers.py: a process that keeps its model loaded and answers a round for each line of stdin.

    python benchmarks/peer_sides.py SIDE WORK DTYPE

WORK is the folder that peers.py prepared: the model, the facts and ids of each round, about.json. Our lines on stdout
begin with "> ". A side imports its own library only.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

NEW = 32


class Took(NamedTuple):
    """One side's answers to one round."""

    seconds: float
    processor: float
    texts: list[str]


def serve(side: str, work: Path, dtype: str) -> None:
    """Load, say ready, then answer one round a line of stdin."""
    about = json.loads((work / "about.json").read_text())
    answer = SIDES[side](work, dtype, about)
    print("> ready", flush=True)
    for line in sys.stdin:
        n = int(line)
        begun, used = time.perf_counter(), processor_time()
        texts = answer(n)
        took = Took(time.perf_counter() - begun, processor_time() - used, texts)
        print("> " + json.dumps(took._asdict()), flush=True)


def processor_time() -> float:
    """Of this process, all its threads."""
    return time.process_time()


def knowpack(work: Path, dtype: str, about: dict[str, Any]) -> Any:
    import polars as pl
    import torch

    from knowpack.config import ModelConfig, ProbeConfig
    from knowpack.decode.decoder import Decoder
    from knowpack.facts.sources import SOURCES
    from knowpack.model.load import load
    from knowpack.probe.probe import probe
    from knowpack.probe.prompts import Prompter
    from knowpack.probe.shots import draw_shots

    torch.set_num_threads(about["threads"])
    loaded = load(ModelConfig(name=str(work / "model"), device="cpu", dtype=dtype))
    decoder = Decoder(loaded, batch_size=128)
    config = ProbeConfig(n_prompts=about["prompts"], stop=False)
    shots = draw_shots(SOURCES["general"].shots(), config.n_prompts, config.n_shots, config.shots_seed)
    prompter = Prompter(loaded.tokenizer)

    def answer(n: int) -> list[str]:
        decoder.forget()  # the prefixes are computed within the time
        responses = probe(decoder, pl.read_parquet(work / f"facts-{n}.parquet"), shots, prompter, config).collect()
        order = responses.with_columns(place=pl.col("fact_id").rle_id()).sort("prompt", "place")
        return [text.strip() for text in order["text"]]

    return answer


def pipeline(work: Path, dtype: str, about: dict[str, Any]) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(about["threads"])
    model = AutoModelForCausalLM.from_pretrained(work / "model", dtype=getattr(torch, dtype)).eval()
    tokenizer = AutoTokenizer.from_pretrained(work / "model")
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else about["stops"][0]

    def answer(n: int) -> list[str]:
        rows, texts = json.loads((work / f"ids-{n}.json").read_text()), []
        for at in range(0, len(rows), 128):
            batch = rows[at : at + 128]
            width = max(map(len, batch))
            ids = torch.tensor([[pad] * (width - len(row)) + row for row in batch])
            mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in batch])
            with torch.inference_mode():
                out = model.generate(
                    ids,
                    attention_mask=mask,
                    max_new_tokens=NEW,
                    do_sample=False,
                    eos_token_id=about["stops"],
                    pad_token_id=pad,
                )
            texts += [text.strip() for text in tokenizer.batch_decode(out[:, width:], skip_special_tokens=True)]
        return texts

    return answer


def vllm(work: Path, dtype: str, about: dict[str, Any]) -> Any:
    from vllm import LLM, SamplingParams

    model = LLM(str(work / "model"), dtype=dtype, enable_prefix_caching=True, max_model_len=2048, max_num_seqs=256)
    chosen = SamplingParams(temperature=0.0, max_tokens=NEW, stop_token_ids=about["stops"])

    def answer(n: int) -> list[str]:
        rows = json.loads((work / f"ids-{n}.json").read_text())
        model.reset_prefix_cache()
        outputs = model.generate([{"prompt_token_ids": row} for row in rows], chosen, use_tqdm=False)
        return [one.outputs[0].text.strip() for one in outputs]

    return answer


def llama_cpp(work: Path, dtype: str, about: dict[str, Any]) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    import xllamacpp

    if not about["gguf"]:
        raise SystemExit("llama.cpp reads GGUF files: name one by --model")
    params = xllamacpp.CommonParams()
    params.model.path = about["gguf"]
    params.n_parallel, params.n_ctx = 16, 16 * 1024
    params.cpuparams.n_threads = about["threads"]
    server = xllamacpp.Server(params)

    def one(row: list[int]) -> str:
        wanted = {"prompt": row, "n_predict": NEW, "temperature": 0.0, "cache_prompt": True}
        return str(json.loads(server.handle_completions(json.dumps(wanted)))["content"]).strip()

    def answer(n: int) -> list[str]:
        with ThreadPoolExecutor(16) as pool:
            return list(pool.map(one, json.loads((work / f"ids-{n}.json").read_text())))

    return answer


SIDES = {"knowpack": knowpack, "pipeline": pipeline, "vllm": vllm, "llama.cpp": llama_cpp}

if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
