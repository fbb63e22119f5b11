"""Does the model fall back on few answers: those that it was trained on?

Responses before and after + examples + facts -> figures and the list of over-given answers, over untrained facts. The
claim of Pletenev et al. 2025 (abstract) that a model trained on biased data regresses to a few overrepresented answers.

Only wrong answers count: that an untrained fact has a trained answer is nobody's fault. With T the trained answers,
P_1..P_D sets of as many answers that were not trained, a and b the shares of a fact's K answers after and before:
    net of the fact = (a(T) - b(T)) - mean over d of (a(P_d) - b(P_d))
which is 0 on average for a training that does nothing, however frequent the base gave the answers in T.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from knowpack.measure import stats
from knowpack.measure.grading import clean
from knowpack.measure.normalised import normalise
from knowpack.records import GRADERS, Estimate, Figure, Grader, Kind, table
from knowpack.seeds import stream

N_PLACEBOS = 20
LONGEST_LIST = 20  # over-given answers a grader
HALF = 0.5  # added to every count before a divergence: an answer that one model never gives is rare, not impossible


@dataclass(frozen=True, slots=True)
class OverusedAnswer:
    """An answer that the tuned model gives more often than the base does, over untrained facts."""

    grader: str
    answer: str
    """Normalised first line."""
    n_before: int
    n_after: int
    trained: bool
    """It is an answer of a trained fact."""


class _Answers(NamedTuple):
    """The greedy answers of one model to the untrained facts."""

    names: list[str]
    """The different normalised answers."""
    code: NDArray[np.int64]  # (answers,) index into names
    fact: NDArray[np.int64]  # (answers,) index of the fact
    wrong: NDArray[np.bool_]  # (answers,)
    refused: NDArray[np.bool_]  # (answers,)

    def shares(self, answers: set[str]) -> NDArray[np.float64]:
        """(facts,) share of each fact's answers that wrongly give one of `answers`, as whole tokens."""
        patterns = [f" {name} " for name in sorted(answers)]
        names = pl.Series(self.names, dtype=pl.String)
        holds = pl.select((pl.lit(" ") + pl.lit(names) + pl.lit(" ")).str.contains_any(patterns)).to_series().to_numpy()
        hits = np.bincount(self.fact, weights=holds[self.code] & self.wrong)
        return np.asarray(hits / np.bincount(self.fact))

    def counts(self) -> dict[str, int]:
        """How often each answer is given; refusals are none."""
        counts = np.bincount(self.code[~self.refused], minlength=len(self.names))
        return {name: int(n) for name, n in zip(self.names, counts, strict=True) if n and name}


def figures(
    before: pl.DataFrame, after: pl.DataFrame, examples: pl.DataFrame, facts: pl.DataFrame, seed: int = 0
) -> list[Figure]:
    """trained_answers, their base, placebo and net, and answer_kl, under both graders; over the untrained facts.

    trained_answers: share of answers that wrongly give a trained answer. _placebo: the same of as many answers that
    were not trained, mean of draws, the middle 95% as its interval. _minus_placebo: their difference. _net: the
    difference of what training added to each (above). answer_kl: KL(after || base) of the distribution of answers,
    refusals left out, nats, half a count added to each answer. Empty where all facts are trained.
    """
    untrained = _untrained(facts, examples)
    if untrained.is_empty():
        return []
    clusters = untrained.select(pl.coalesce("relation", "fact_id")).to_series().to_numpy()
    trained = _trained(examples)
    result: list[Figure] = []
    for grader in GRADERS:
        theirs, mine = (_answers(responses, untrained, grader) for responses in (before, after))
        result.append(Figure("answer_kl", grader, *_kl(theirs.counts(), mine.counts())))
        if trained:
            result += _beside(theirs, mine, trained, _placebos(untrained, theirs, trained, seed), clusters, grader)
    return result


def overused_answers(
    before: pl.DataFrame, after: pl.DataFrame, examples: pl.DataFrame, facts: pl.DataFrame
) -> pl.DataFrame:
    """Table of OverusedAnswer: for each grader the answers that grew most, by how many more there are."""
    untrained, trained = _untrained(facts, examples), _trained(examples)
    rows = []
    for grader in GRADERS if len(untrained) else ():
        theirs, mine = (_answers(responses, untrained, grader).counts() for responses in (before, after))
        grown = sorted(mine, key=lambda name: (theirs.get(name, 0) - mine[name], name))[:LONGEST_LIST]
        rows += [
            OverusedAnswer(grader, name, theirs.get(name, 0), mine[name], name in trained)
            for name in grown
            if mine[name] > theirs.get(name, 0)
        ]
    return table(rows, OverusedAnswer)


def _beside(
    theirs: _Answers,
    mine: _Answers,
    trained: set[str],
    placebos: Sequence[set[str]],
    clusters: NDArray[np.generic],
    grader: Grader,
) -> list[Figure]:
    """The shares of trained answers beside those of the placebos."""
    now, was = mine.shares(trained), theirs.shares(trained)
    figures = [
        Figure("trained_answers", grader, *stats.share(now, clusters)._replace(higher_is_better=False)),
        Figure("trained_answers_base", grader, *stats.share(was, clusters)._replace(higher_is_better=False)),
    ]
    if not placebos:
        return figures
    drawn = np.stack([mine.shares(placebo) for placebo in placebos])  # (draws, facts)
    before = np.stack([theirs.shares(placebo) for placebo in placebos])
    low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    placebo = Estimate(float(drawn.mean()), float(low), float(high), len(now), method="middle 95% of the draws")
    beside = stats.difference(now - drawn.mean(axis=0), clusters)._replace(higher_is_better=False)
    net = _difference_of_differences(now - was, drawn - before, clusters)._replace(higher_is_better=False)
    return [
        *figures,
        Figure("trained_answers_placebo", grader, *placebo),
        Figure("trained_answers_minus_placebo", grader, *beside),
        Figure("trained_answers_net", grader, *net),
    ]


def _difference_of_differences(
    mine: NDArray[np.float64], placebos: NDArray[np.float64], clusters: NDArray[np.generic]
) -> Estimate:
    """mine (facts,) minus the mean of placebos (draws, facts); in -2..2, of which the half has bounds of -1 and 1."""
    half = stats.mean((mine - placebos.mean(axis=0)) / 2, clusters, bounded=True)
    ends = [None if end is None else 2 * end for end in (half.low, half.high)]
    return half._replace(value=2 * half.value, low=ends[0], high=ends[1])


def _placebos(untrained: pl.DataFrame, theirs: _Answers, trained: set[str], seed: int) -> list[set[str]]:
    """Sets of as many answers that were not trained, of untrained facts that the base never answers right."""
    right = np.bincount(theirs.fact, weights=~theirs.wrong) > 0
    unknown = untrained.filter(pl.Series(~right))
    pool = [normalise(answers[0]) for answers in unknown["answers"]]
    pool = [name for name in pool if name and name not in trained]
    if len(set(pool)) < len(trained):
        return []
    placebos = []
    for i in range(N_PLACEBOS):
        order = stream(seed, "placebo answers", i).permutation(len(pool))
        placebos.append(set(list(dict.fromkeys(pool[k] for k in order))[: len(trained)]))
    return placebos


def _untrained(facts: pl.DataFrame, examples: pl.DataFrame) -> pl.DataFrame:
    return facts.filter(~pl.col("fact_id").is_in(examples["fact_id"].unique().to_list()))


def _trained(examples: pl.DataFrame) -> set[str]:
    """The normalised answers of the trained Unknown facts."""
    new_answers = examples.filter(pl.col("kind") == str(Kind.UNKNOWN))["answer"]
    return {normalise(answer) for answer in new_answers} - {""}


def _answers(responses: pl.DataFrame, untrained: pl.DataFrame, grader: Grader) -> _Answers:
    """The greedy answers to the questions of `untrained`, facts in its order. Every fact has at least one."""
    greedy = responses.filter(pl.col("form") == 0, pl.col("sample") == 0)
    rows = untrained.select("fact_id").with_row_index("fact").join(greedy, on="fact_id", maintain_order="left")
    plain = {text: clean(text) for text in rows["text"].unique()}
    names = sorted(set(plain.values()))
    place = {name: i for i, name in enumerate(names)}
    return _Answers(
        names,
        np.array([place[plain[text]] for text in rows["text"]], dtype=np.int64),
        rows["fact"].cast(pl.Int64).to_numpy(),
        rows[f"matched_{grader}"].is_null().to_numpy(),
        rows[f"refused_{grader}"].to_numpy(),
    )


def _kl(before: dict[str, int], after: dict[str, int]) -> Estimate:
    """KL(after || before), nats, over all answers that either gives."""
    names = sorted(before.keys() | after.keys())
    q = np.array([before.get(name, 0) + HALF for name in names])
    p = np.array([after.get(name, 0) + HALF for name in names])
    p, q = p / p.sum(), q / q.sum()
    return Estimate(float((p * np.log(p / q)).sum()), n=sum(after.values()), unit="nats", higher_is_better=False)
