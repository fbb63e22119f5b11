"""What every cell of the pack table shares: the lab, its facts in parts, and what the base answers.

Report, validation, candidates (the packed facts are drawn from them) and the rest (replay, extras) are disjoint.
"""

from functools import cached_property
from pathlib import Path

import polars as pl

from knowpack import store
from knowpack.bench.evaluate import evaluate
from knowpack.config import BenchConfig, FactsConfig, ModelConfig, ProbeConfig
from knowpack.decode.decoder import Decoder
from knowpack.decode.transformers_asker import TransformersAsker
from knowpack.facts import sources
from knowpack.facts.from_config import sampled
from knowpack.measure.knowledge import knowledge_map
from knowpack.model.load import load
from knowpack.model.loaded import Loaded, weights_hash
from knowpack.probe.probe import probe
from knowpack.probe.prompts import Prompter
from knowpack.probe.shots import draw_shots
from knowpack.seeds import stream

TASKS = ("lab_mc", "lab_truth_mc1", "lab_truth_mc2", "lab_arc", "lab_reading")
METRIC = "acc"
N_REPORT, N_VALIDATION, N_CANDIDATES = 1000, 400, 1600
OTHER_WORDINGS = (12, 13)  # not trained on for the packed facts


class World:
    """The lab, its facts in parts, and what the base answers; read from OUT where it is there."""

    def __init__(self, out: Path, model: str = "lab", facts: str = "lab", shots: str = "lab") -> None:
        self.out = out
        self.loaded = load(ModelConfig(name=model))
        self.prompter = Prompter(self.loaded.tokenizer)
        self.facts = sources.load(facts)
        drawn = draw_shots(sources.load_shots(shots), 33, 4, 0, exclude=self.facts["question"].to_list())
        self.shots, self.noise_shots = drawn[:10], drawn[10:20]
        self.contexts = [[], *drawn[20:28]]
        self.validation_shots = drawn[28:33]
        self.report = sampled(self.facts, FactsConfig(sample=N_REPORT))
        rest = self.facts.join(self.report, on="fact_id", how="anti", maintain_order="left")
        self.validation = sampled(rest, FactsConfig(sample=N_VALIDATION))
        rest = rest.join(self.validation, on="fact_id", how="anti", maintain_order="left")
        self.candidates = sampled(rest, FactsConfig(sample=N_CANDIDATES))
        self.rest = rest

    def responses_of(self, name: str, facts: pl.DataFrame, shots: list, **more: object) -> pl.DataFrame:
        """Responses, kept in OUT under the name."""
        path = self.out / f"{name}.parquet"
        if not path.is_file():
            if weights_hash(self.loaded.model) != self.loaded.weights_hash:
                raise RuntimeError(f"{name} is to be the base's, but an adapter is merged into the weights")
            decoder = Decoder(self.loaded)
            store.write_table(path, probe(decoder, facts, shots, self.prompter, ProbeConfig(), **more).collect())
        return pl.read_parquet(path)

    @cached_property
    def base_report(self) -> pl.DataFrame:
        return self.responses_of("base-report", self.report, self.shots)

    @cached_property
    def base_noise(self) -> pl.DataFrame:
        return self.responses_of("base-noise", self.report, self.noise_shots, drafts=self.base_report)

    @cached_property
    def base_validation(self) -> pl.DataFrame:
        return self.responses_of("base-validation", self.validation, self.validation_shots)

    @cached_property
    def base_candidates(self) -> pl.DataFrame:
        return self.responses_of("base-candidates", self.candidates, self.shots[:5])

    @cached_property
    def base_scores(self) -> dict[str, float]:
        assert weights_hash(self.loaded.model) == self.loaded.weights_hash, "an adapter is merged into the base"
        return self.scores(self.loaded, "base")

    def scores(self, loaded: Loaded, name: str) -> dict[str, float]:
        """The lab's benchmarks: task -> accuracy 0..1."""
        scores = evaluate(TransformersAsker(loaded), BenchConfig(tasks=TASKS), self.out / "bench" / name)
        return dict(scores.filter(pl.col("metric") == METRIC).select("task", "value").iter_rows())

    def unknown(self, n: int, draw: int) -> pl.DataFrame:
        """The facts of a draw: disjoint for the same n; draw -1 is disjoint from all others."""
        known = knowledge_map(self.base_candidates)
        ids = known.filter((pl.col("grader") == "default") & (pl.col("category") == "Unknown"))["fact_id"].to_list()
        pool = self.candidates.filter(pl.col("fact_id").is_in(ids)).sort("fact_id")
        pool = pool[stream(0, "benchmark").permutation(pool.height)]
        start = draw * n if draw >= 0 else pool.height - n
        return pool[start : start + n]

    @cached_property
    def pool(self) -> pl.DataFrame:
        """Facts of no other part: replay and extras come from here."""
        return self.rest.join(self.candidates, on="fact_id", how="anti", maintain_order="left")

    def highly_known(self, n: int) -> pl.DataFrame:
        """About n facts of the pool that the base answers under two validation prompts."""
        some = sampled(self.pool, FactsConfig(sample=min(self.pool.height, max(6 * n, 2000))))
        known = knowledge_map(self.responses_of(f"base-extras-{some.height}", some, self.validation_shots[:2]))
        return some.filter(highly(known))

    @cached_property
    def base_other_wordings(self) -> pl.DataFrame:
        """The report's HighlyKnown facts asked in wordings of their own."""
        known = self.report.filter(highly(knowledge_map(self.base_report)))
        return self.responses_of("base-other-wordings", known, self.shots[:5], forms=OTHER_WORDINGS)


def highly(known: pl.DataFrame) -> pl.Expr:
    """Whether a fact is HighlyKnown in the knowledge map."""
    sure = known.filter((pl.col("grader") == "default") & (pl.col("category") == "HighlyKnown"))
    return pl.col("fact_id").is_in(sure["fact_id"].to_list())
