"""The abstract's claims on figures made by hand: each rule in every direction."""

import pytest

from knowpack.measure.abstract_claims import CellFigures, Finding, Ruling, findings, pooled
from knowpack.measure.stats import minus
from knowpack.records import Estimate
from knowpack.report import claim_tables

NAMES = ["mixture", "benchmarks", "few_answers", "confidence", "refusals"]


def cell(
    label: str, n: int = 50, kind: str = "none", k: int = 0, *, biased: bool = False, **figures: tuple[float, ...]
) -> CellFigures:
    return CellFigures(label, n, kind, k, biased, {name: Estimate(*ends, n=100) for name, ends in figures.items()})


def of(name: str, *cells: CellFigures) -> Finding:
    return next(one for one in findings(cells) if one.name == name)


def test_five_claims_in_the_abstracts_order_and_nothing_measured_is_not_measurable() -> None:
    found = findings([cell("50")])
    assert [one.name for one in found] == NAMES
    assert {one.ruling for one in found} == {Ruling.NOT_MEASURABLE}
    assert all(one.why and not one.parts for one in found)
    assert {one.ruling for one in findings([])} == {Ruling.NOT_MEASURABLE}


def test_difference_of_two_estimates_by_hand() -> None:
    # d = .3; low = .3 - sqrt(.03^2 + .04^2) = .25; high = .3 + sqrt(.08^2 + .06^2) = .4
    found = minus(Estimate(0.5, 0.47, 0.58), Estimate(0.2, 0.14, 0.24))
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.25, 0.4))
    assert minus(Estimate(0.5), Estimate(0.2, 0.1, 0.3)) is None


def test_many_cells_do_not_narrow_the_interval() -> None:
    found = pooled([Estimate(0.1, -0.1, 0.3)] * 100)
    assert found is not None
    assert (found.value, found.low, found.high, found.n) == (
        pytest.approx(0.1),
        pytest.approx(-0.1),
        pytest.approx(0.3),
        100,
    )
    assert pooled([Estimate(0.1)]) is None


def test_benchmarks_are_judged_over_all_cells_not_the_worst() -> None:
    worst = cell("a", benchmark_mean_drop=(0.05, 0.01, 0.09))
    assert of("benchmarks", worst).ruling == Ruling.FOUND
    found = of("benchmarks", worst, cell("b", benchmark_mean_drop=(0.0, -0.04, 0.04)))
    assert found.ruling == Ruling.NOT_FOUND  # mean of the lows: (.01 - .04) / 2 < 0
    assert found.parts[0].pooled.value == pytest.approx(0.025)
    assert [label for label, _ in found.parts[0].cells] == ["a", "b"]
    assert "opposite" in of("benchmarks", cell("c", benchmark_mean_drop=(-0.05, -0.09, -0.01))).why


def test_a_figure_without_interval_decides_nothing() -> None:
    assert of("confidence", cell("a", confidence_change=(0.5,))).ruling == Ruling.NOT_MEASURABLE


def test_confidence_that_falls_is_not_found() -> None:
    assert of("confidence", cell("a", confidence_change=(0.2, 0.1, 0.3))).ruling == Ruling.FOUND
    found = of("confidence", cell("a", confidence_change=(-0.2, -0.3, -0.1)))
    assert found.ruling == Ruling.NOT_FOUND
    assert "opposite" in found.why


ALONE = cell("50", reliability=(0.9, 0.85, 0.95), known_lost_net=(0.4, 0.38, 0.42))


@pytest.mark.parametrize(
    ("reliability", "lost", "ruling"),
    [
        ((0.9, 0.85, 0.95), (0.1, 0.08, 0.12), Ruling.FOUND),  # loses less, learns as much
        ((0.4, 0.35, 0.45), (0.1, 0.08, 0.12), Ruling.NOT_FOUND),  # loses less, learns less
        ((0.9, 0.85, 0.95), (0.6, 0.58, 0.62), Ruling.NOT_FOUND),  # loses more
        ((0.92, 0.87, 0.97), (0.41, 0.39, 0.43), Ruling.NOT_FOUND),  # no difference to be seen
    ],
)
def test_mixture_must_be_better_in_one_and_worse_in_neither(
    reliability: tuple[float, ...], lost: tuple[float, ...], ruling: Ruling
) -> None:
    mixed = cell("50+10 HK", kind="highly_known", k=10, reliability=reliability, known_lost_net=lost)
    assert of("mixture", ALONE, mixed).ruling == ruling


def test_mixture_needs_the_same_number_of_facts_alone() -> None:
    mixed = cell("10+10 HK", 10, "highly_known", 10, reliability=(1.0, 0.9, 1.0), known_lost_net=(0.0, 0.0, 0.1))
    assert of("mixture", ALONE, mixed).ruling == Ruling.NOT_MEASURABLE


def test_two_cells_with_as_many_facts_alone_both_count_in_either_order() -> None:
    """The last of them alone was compared: its steps, or its rate, decided the claim."""
    mixed = cell("10+10 HK", 10, "highly_known", 10, reliability=(0.9, 0.9, 0.9), known_lost_net=(0.1, 0.1, 0.1))
    short = cell("10", 10, reliability=(0.1, 0.1, 0.1), known_lost_net=(0.0, 0.0, 0.0))
    long = cell("10, as many steps", 10, reliability=(1.0, 1.0, 1.0), known_lost_net=(0.7, 0.7, 0.7))
    for cells in ((short, long, mixed), (long, mixed, short)):
        learned, cost = of("mixture", *cells).parts
        assert len(learned.cells) == len(cost.cells) == 2
        assert learned.pooled.value == pytest.approx(0.35)  # (.8 - .1) / 2
        assert cost.pooled.value == pytest.approx(-0.25)  # (.1 - .6) / 2


def test_a_biased_cell_is_held_against_every_cell_of_its_shape() -> None:
    biased = cell("zipf", biased=True, trained_answers_net=(0.3, 0.3, 0.3))
    twins = [cell(label, trained_answers_net=(x, x, x)) for label, x in (("50", 0.1), ("50, lr 1e-3", 0.3))]
    found = of("few_answers", *twins, biased)
    assert found.parts[0].pooled.value == pytest.approx(0.1)  # (.2 + .0) / 2
    assert [label for label, _ in found.parts[0].cells] == ["zipf", "zipf"]


def test_bias_is_held_against_the_same_cell_without_bias() -> None:
    biased = cell("zipf", biased=True, trained_answers_net=(0.3, 0.25, 0.35))
    assert of("few_answers", biased).ruling == Ruling.FOUND  # alone: above 0
    plain = cell("50", trained_answers_net=(0.3, 0.25, 0.35))
    assert of("few_answers", plain, biased).ruling == Ruling.NOT_FOUND  # as much without any bias
    assert of("few_answers", plain).ruling == Ruling.NOT_MEASURABLE
    less = cell("50", trained_answers_net=(0.1, 0.05, 0.15))
    found = of("few_answers", less, biased)
    assert found.ruling == Ruling.FOUND
    assert found.parts[0].pooled.value == pytest.approx(0.2)


def test_a_difference_between_cells_is_not_called_as_the_figure_itself() -> None:
    """ "reliability 1.4%" was how much more of the new facts a mixture answers than the same facts alone."""
    mixed = cell("50+10 HK", kind="highly_known", k=10, reliability=(0.914, 0.9, 0.93), known_lost_net=(0.1, 0.0, 0.2))
    learned, lost = of("mixture", ALONE, mixed).parts
    assert claim_tables.name(learned) == "Reliability: difference to as many new facts alone"
    assert claim_tables.name(lost) == "Known facts lost, net of noise: difference to as many new facts alone"
    biased = cell("zipf", biased=True, trained_answers_net=(0.3, 0.25, 0.35))
    other = cell("zipf 10", 10, biased=True, trained_answers_net=(0.3, 0.25, 0.35))
    plain = cell("50", trained_answers_net=(0.1, 0.05, 0.15))
    minus = [of("few_answers", *cells).parts[0].minus for cells in ([biased], [plain, biased], [plain, biased, other])]
    assert minus == ["", "the same cell without bias", "the same cell without bias, where there is one"]
    kept = of("refusals", cell("a", refusals_kept=(0.1, 0.05, 0.2))).parts[0]
    assert claim_tables.name(kept) == "Refusals kept, raw", "a level"


def test_refusals_must_be_few_and_fewer_than_without_training() -> None:
    few, gone = {"refusals_kept": (0.1, 0.05, 0.2)}, {"refusals_lost_net": (0.8, 0.7, 0.9)}
    assert of("refusals", cell("a", **few, **gone)).ruling == Ruling.FOUND
    assert of("refusals", cell("a", **few)).ruling == Ruling.FOUND
    assert of("refusals", cell("a", **few, refusals_lost_net=(0.0, -0.1, 0.1))).ruling == Ruling.NOT_FOUND
    assert of("refusals", cell("a", refusals_kept=(0.45, 0.3, 0.6), **gone)).ruling == Ruling.NOT_FOUND
    assert of("refusals", cell("a", **gone)).ruling == Ruling.NOT_MEASURABLE


def test_shams_and_pack_cells_do_not_decide_where_there_are_cells_of_the_paper() -> None:
    up, down = {"confidence_change": (0.2, 0.1, 0.3)}, {"confidence_change": (-0.2, -0.3, -0.1)}
    sham, packed = cell("sham", kind="sham", **down), cell("pack", kind="pack", **down)
    assert of("confidence", cell("50", **up), sham, packed).ruling == Ruling.FOUND
    assert of("confidence", packed, sham).parts[0].cells[0][0] == "pack"
    assert of("confidence", sham).ruling == Ruling.NOT_MEASURABLE
