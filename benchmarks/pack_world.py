"""What every cell of the pack table shares: the lab, its facts in parts, and what the base answers.

Report, validation, candidates (the packed facts are drawn from them) and the rest (replay, extras) are disjoint.
`World` is for development: recipes were chosen on its facts and prompts. `Judged` has none of its report, validation
and candidate facts, other few-shot prompts, and harm on some 1,500 HighlyKnown facts, so that half a point is seen.
"""

import json
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
from knowpack.further.likelihoods import passages, score_passages
from knowpack.measure.further_figures import passage_figures
from knowpack.measure.knowledge import knowledge_map
from knowpack.measure.stakes import REFUSED
from knowpack.model.load import load
from knowpack.model.loaded import Loaded, weights_hash
from knowpack.probe.probe import probe
from knowpack.probe.prompts import Prompter
from knowpack.probe.shots import draw_shots
from knowpack.seeds import stream
from knowpack.train.recipes import LAB_MODEL

TASKS = ("lab_mc", "lab_truth_mc1", "lab_truth_mc2", "lab_arc", "lab_reading")
METRIC = "acc"
N_REPORT, N_VALIDATION, N_CANDIDATES = 1000, 400, 1600
OTHER_WORDINGS = (12, 13)  # not trained on for the packed facts
N_TEXTS, TEXT_TOKENS, TEXT_SEED = 200, 100, 1
N_SCREENED, N_REFUSED, JUDGED_DRAW = 8000, 500, 1  # asked to find the judged report's facts; seed of its draws


class World:
    """The lab, its facts in parts, and what the base answers; read from OUT where it is there."""

    prompt_seed = 0

    def __init__(self, out: Path, model: str = "lab", facts: str = "lab", shots: str = "lab") -> None:
        self.out = self.search = out
        self.loaded = load(ModelConfig(name=model))
        self.prompter = Prompter(self.loaded.tokenizer)
        self.facts = sources.load(facts)
        drawn = draw_shots(sources.load_shots(shots), 33, 4, self.prompt_seed, exclude=self.facts["question"].to_list())
        self.shots, self.noise_shots = drawn[:10], drawn[10:20]
        self.contexts = [[], *drawn[20:28]]
        self.validation_shots = drawn[28:33]
        self.report = sampled(self.facts, FactsConfig(sample=N_REPORT))
        rest = without(self.facts, self.report)
        self.validation = sampled(rest, FactsConfig(sample=N_VALIDATION))
        rest = without(rest, self.validation)
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
    def texts(self) -> list[str]:
        """Unrelated text: the package's; for the lab, whose language that is not, texts that its base wrote."""
        if self.loaded.name != LAB_MODEL:
            return passages("auto")
        path = self.out / "texts.json"
        if not path.is_file():
            first = self.loaded.tokenizer.bos_token_id
            assert first is not None, "the lab's tokenizer has one"
            written = Decoder(self.loaded).generate(
                [], [[first]] * N_TEXTS, max_new_tokens=TEXT_TOKENS, stop_ids=[], temperature=1.0, seed=TEXT_SEED
            )
            store.write_json(path, [self.prompter.decode(ids) for ids in written])
        return list(json.loads(path.read_text()))

    @cached_property
    def base_passages(self) -> pl.DataFrame:
        return self.passages_by(self.loaded)

    def passages_by(self, loaded: Loaded) -> pl.DataFrame:
        """Log-probabilities of the texts."""
        return score_passages(TransformersAsker(loaded), self.prompter, self.texts)

    def perplexity_rise(self, loaded: Loaded) -> float:
        """Of the adapted model on unrelated text, against the base's: .01 = 1% higher."""
        figures = {one.name: one.value for one in passage_figures(self.base_passages, self.passages_by(loaded))}
        return figures["text_perplexity"] / figures["text_perplexity_base"] - 1

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
        return without(self.rest, self.candidates)

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


class Judged(World):
    """Facts and prompts that no recipe was chosen on; the report: HighlyKnown facts and some that the base refuses."""

    prompt_seed = JUDGED_DRAW

    def __init__(self, out: Path, model: str = "lab", facts: str = "lab", shots: str = "lab") -> None:
        super().__init__(out / "judged", model, facts, shots)
        self.search = out  # recipes to compare with were chosen on the development facts, whose cells lie there
        fresh = without(without(self.rest, self.candidates), self.report)
        self.candidates = sampled(fresh, FactsConfig(sample=N_CANDIDATES, sample_seed=JUDGED_DRAW))
        fresh = without(fresh, self.candidates)
        self._screened = sampled(fresh, FactsConfig(sample=N_SCREENED, sample_seed=JUDGED_DRAW))
        self.rest = without(fresh, self._screened)
        self.report = self._screened.filter(self._at_stake())

    def _at_stake(self) -> pl.Expr:
        known = knowledge_map(self._answers)
        refused = known.filter((pl.col("grader") == "default") & (pl.col("p_refused") >= REFUSED))["fact_id"]
        return highly(known) | pl.col("fact_id").is_in(refused.sort()[:N_REFUSED].to_list())

    @cached_property
    def _answers(self) -> pl.DataFrame:
        return self.responses_of("base-screened", self._screened, self.shots)

    @cached_property
    def base_report(self) -> pl.DataFrame:
        return self._answers.filter(pl.col("fact_id").is_in(self.report["fact_id"].to_list()))


def without(facts: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """The facts that are not among the others, in their order."""
    return facts.join(others, on="fact_id", how="anti", maintain_order="left")


def highly(known: pl.DataFrame) -> pl.Expr:
    """Whether a fact is HighlyKnown in the knowledge map."""
    sure = known.filter((pl.col("grader") == "default") & (pl.col("category") == "HighlyKnown"))
    return pl.col("fact_id").is_in(sure["fact_id"].to_list())
