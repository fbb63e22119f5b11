"""Calibration against scikit-learn and hand arithmetic; the figures on answers made by hand."""

import math

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from knowpack import records
from knowpack.measure import confidence
from knowpack.measure.calibration import Confidences, aurc, auroc, brier, calibration, curve, ece
from knowpack.records import Fact, Figure, Response


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidences with ties, outcomes that follow them loosely, weights of 0 to 3."""
    rng = np.random.default_rng(0)
    p = np.round(rng.random(400), 2)
    return p, rng.random(400) < 0.3 + 0.4 * p, rng.integers(0, 4, 400).astype(float)


def test_auroc_and_brier_are_scikit_learns_with_ties_and_weights(drawn: tuple[np.ndarray, ...]) -> None:
    p, right, w = drawn
    assert auroc(p, right) == pytest.approx(roc_auc_score(right, p))
    assert auroc(p, right, w) == pytest.approx(roc_auc_score(right, p, sample_weight=w))
    assert brier(p, right) == pytest.approx(brier_score_loss(right, p))
    assert brier(p, right, w) == pytest.approx(brier_score_loss(right, p, sample_weight=w))


def test_weights_count_answers_that_often(drawn: tuple[np.ndarray, ...]) -> None:
    p, right, w = drawn
    times = w.astype(int)
    for statistic in (ece, aurc, auroc, brier):
        assert statistic(p, right, w) == pytest.approx(statistic(np.repeat(p, times), np.repeat(right, times)))


def test_ece_by_hand() -> None:
    # bins of 1/15: .95 and .97 lie in the last (mean .96, half right: .46), .10 in the second (all right: .90)
    p, right = np.array([0.95, 0.97, 0.10]), np.array([True, False, True])
    assert ece(p, right) == pytest.approx(2 / 3 * 0.46 + 1 / 3 * 0.90)
    assert ece(np.array([1.0, 1.0]), np.array([True, True])) == 0.0  # 1 belongs to the last bin


def test_auroc_by_hand_and_none_where_all_are_right() -> None:
    p, right = np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])
    assert auroc(p, right) == pytest.approx((1 + 1 + 0.5 + 1) / 4)  # of four pairs one ties
    assert auroc(p, np.ones(4, dtype=bool)) is None


def test_aurc_and_curve_by_hand() -> None:
    p, right = np.array([0.9, 0.7, 0.5, 0.3]), np.array([True, False, True, True])
    assert aurc(p, right) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    # two as sure as each other are counted together
    assert aurc(np.array([0.9, 0.9]), np.array([True, False])) == 0.5
    points = {coverage: (risk, n) for coverage, risk, n in curve(p, right)}
    assert points[0.5] == (0.5, 2)
    assert points[1.0] == (0.25, 4)
    assert points[0.1] == (0.0, 1)


FACTS = [Fact(f"f{i}", "Q", ("A",), relation=f"r{i % 2}") for i in range(4)]


def said(*answers: tuple[str, float, bool, bool], tokens: int = 2, prompts: int = 1) -> pl.DataFrame:
    """(fact, p, right, refused) a row; prompts in order of appearance within a fact."""
    seen: dict[str, int] = {}
    rows = []
    for fact, p, right, refused in answers:
        seen[fact] = seen.get(fact, -1) + 1
        hit = "A" if right else None
        rows.append(Response(fact, seen[fact], 0, 0, "x", hit, hit, refused, refused, None, math.log(p), tokens))
    return records.table(rows, Response)


def of(found: list[Figure], name: str) -> Figure:
    return next(one for one in found if one.name == name and one.grader == "default")


BEFORE = said(("f0", 0.8, True, False), ("f1", 0.6, False, False), ("f2", 0.5, False, True), ("f3", 0.9, True, False))
AFTER = said(("f0", 0.9, True, False), ("f1", 0.9, False, False), ("f2", 0.7, False, False), ("f3", 0.1, True, False))


def test_figures_by_hand() -> None:
    found = confidence.figures(BEFORE, AFTER, records.table(FACTS, Fact), {"f3"})  # f3 is trained: left out
    assert of(found, "confidence_base").value == pytest.approx((0.8 + 0.6 + 0.5) / 3)  # the refusal too
    assert of(found, "confidence_change").value == pytest.approx((0.1 + 0.3 + 0.2) / 3)
    assert of(found, "confidence_per_token_base").value == pytest.approx((0.8**0.5 + 0.6**0.5 + 0.5**0.5) / 3)
    assert of(found, "confidence_wrong_base").value == pytest.approx(0.6)  # a refusal is no wrong answer
    assert of(found, "confidence_wrong").value == pytest.approx(0.8)
    assert of(found, "confidence_right").n == 1
    assert of(found, "brier_base").value == pytest.approx((0.2**2 + 0.6**2) / 2)
    assert of(found, "brier").value == pytest.approx((0.1**2 + 0.9**2 + 0.7**2) / 3)
    assert of(found, "brier_change").value == pytest.approx(of(found, "brier").value - of(found, "brier_base").value)
    assert of(found, "auroc").value == 0.75
    assert of(found, "auroc").higher_is_better
    assert not of(found, "ece").higher_is_better


def test_answers_of_one_relation_have_their_facts_as_clusters() -> None:
    """Four answers to two facts of one relation stood as four facts in the intervals of right and wrong answers."""
    rows = [(fact, prompt, 0.9 if fact == "a" else 0.3) for fact in "ab" for prompt in range(2)]
    answers = records.table(
        [Response(f, k, 0, 0, f, f, f, False, False, None, math.log(p), 1) for f, k, p in rows], Response
    )

    def ends(relation: str | None) -> tuple[float | None, float | None]:
        facts = records.table([Fact(f, f, (f,), relation=relation) for f in "ab"], Fact)
        every = confidence.figures(answers, answers, facts, set())
        return next((one.low, one.high) for one in every if one.name == "confidence_right")

    assert ends("capital") == ends(None)


def test_a_model_held_against_itself_has_not_changed() -> None:
    found = confidence.figures(BEFORE, BEFORE, records.table(FACTS, Fact), set())
    changes = [one for one in found if one.name.endswith("_change")]
    assert {one.value for one in changes} == {0.0}
    assert len(changes) == 2 * 6
    assert all(one.low is None or one.low <= 0 <= one.high for one in changes)  # type: ignore[operator]


def test_no_probabilities_no_figures() -> None:
    bare = BEFORE.with_columns(answer_logprob=pl.lit(None, dtype=pl.Float64))
    facts = records.table(FACTS, Fact)
    assert confidence.figures(bare, AFTER, facts, set()) == []
    assert confidence.figures(BEFORE, AFTER, facts, {f"f{i}" for i in range(4)}) == []
    assert confidence.risk_coverage(bare, bare, facts, set()).is_empty()


def test_paraphrases_and_samples_do_not_count() -> None:
    more = BEFORE.with_columns(form=pl.lit(1, dtype=pl.Int64)), BEFORE.with_columns(sample=pl.lit(1, dtype=pl.Int64))
    facts = records.table(FACTS, Fact)
    assert confidence.figures(pl.concat([BEFORE, *more]), AFTER, facts, set()) == confidence.figures(
        BEFORE, AFTER, facts, set()
    )


def test_an_ece_that_chance_may_have_made_reaches_down_to_zero() -> None:
    """It never did: of a calibrated model's 300 answers the ECE is about .08, and the interval began at .04."""
    rng = np.random.default_rng(2)

    def sample(shift: float) -> Confidences:
        p = rng.uniform(0.05, 0.95, 300)
        right = rng.random(300) < np.clip(p - shift, 0, 1)
        return Confidences(p, p, right, np.zeros(300, bool), np.arange(300), np.repeat(np.arange(30), 10))

    calibrated = [calibration("default", one, one) for one in (sample(0.0) for _ in range(40))]
    assert sum(of(found, "ece").low == 0 for found in calibrated) >= 36
    assert min(of(found, "ece").value for found in calibrated) > 0.03
    changed = [calibration("default", sample(0.0), sample(0.4)) for _ in range(20)]
    assert all(of(found, "ece").low > 0 for found in changed)  # type: ignore[operator]
    truth = 0.4 - 0.35**2 / 2 / 0.9  # the mean of min(p, .4) for p uniform in .05 to .95; the base's is 0
    held = [of(found, "ece_change") for found in changed]
    assert sum(one.low <= truth <= one.high for one in held) >= 18  # type: ignore[operator]


def test_intervals_hold_the_truth_where_relations_move_together() -> None:
    """30 relations with levels of their own, 10 answers each: 95% intervals of Brier and AUROC over 100 samples."""
    rng = np.random.default_rng(1)

    def sample(n_relations: int) -> Confidences:
        cluster = np.repeat(np.arange(n_relations), 10)
        level = rng.normal(0, 0.7, n_relations)[cluster]
        p = 1 / (1 + np.exp(-(level + rng.normal(0, 1, len(level)))))
        return Confidences(p, p, rng.random(len(p)) < p, np.zeros(len(p), bool), np.arange(len(p)), cluster)

    many = sample(20_000)
    truth = {"brier": brier(many.p, many.right), "auroc": auroc(many.p, many.right)}
    held = {"brier": 0, "auroc": 0}
    for _ in range(100):
        one = sample(30)
        found = calibration("default", one, one)
        for name, value in truth.items():
            estimate = of(found, name)
            held[name] += estimate.low <= value <= estimate.high  # type: ignore[operator]
    assert min(held.values()) >= 90


def test_intervals_do_not_depend_on_the_texts_that_the_process_has_seen_before() -> None:
    facts = records.table([Fact(f"f{i}", "Q", ("A",), relation=f"rel{i % 3}") for i in range(12)], Fact)
    seen = pl.Series(["rel2", "rel0", "rel1"], dtype=pl.Categorical)  # polars numbers categories by process
    answers = said(*((f"f{i}", 0.5, i % 3 == 0, False) for i in range(12)))
    clusters = confidence.confidences(answers, facts, set(), "default")
    assert clusters is not None
    assert clusters.cluster.tolist() == [0, 1, 2] * 4, f"in the order of the facts, not of {seen.to_list()}"
