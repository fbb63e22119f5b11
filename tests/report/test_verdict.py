"""May it ship: one rule for every kind of report, by whose limits, and the three figures that decide."""

import json
from pathlib import Path

import pytest

from knowpack.pack.budget import Budget, judged
from knowpack.records import Estimate
from knowpack.report import first_screen, provenance, shares, verdict
from knowpack.report.finished_run import Run

SMALL_LOSS = {
    "known_lost_net": Estimate(0.01, -0.01, 0.03, 900),
    "refusals_lost_net": Estimate(0.0, -0.02, 0.02, 300),
}


def run(folder: Path) -> Run:
    return Run(folder, {}, None)


def test_a_folder_without_limits_is_judged_by_the_defaults_on_the_end_that_hurts(tmp_path: Path) -> None:
    found = verdict.judge(run(tmp_path), SMALL_LOSS)  # by default 5% of either may be lost
    assert (found.word, found.by) == ("met", "the default limits of knowpack pack")
    wide = SMALL_LOSS | {"known_lost_net": Estimate(0.01, -0.04, 0.06, 40)}
    assert verdict.judge(run(tmp_path), wide).word == "not met"


def test_the_limits_given_to_a_diff_are_kept_beside_its_report(tmp_path: Path) -> None:
    verdict.keep(tmp_path, Budget(known_lost=0.02, refusals_lost=None))
    found = verdict.judge(run(tmp_path), SMALL_LOSS)
    assert [(one.name, one.limit, one.verdict) for one in found.verdicts] == [("known_lost", 0.02, "not met")]
    assert "--budget" in found.by


def test_what_was_not_measured_is_not_met_by_silence(tmp_path: Path) -> None:
    assert verdict.judge(run(tmp_path), {}).word == "not measured"
    assert verdict.judge(run(tmp_path), {"refusals_lost_net": SMALL_LOSS["refusals_lost_net"]}).word == "not measured"
    verdict.keep(tmp_path, Budget(None, None, None))
    assert verdict.judge(run(tmp_path), {}).word == "not measured", "no limit at all shows nothing"


def test_too_few_new_facts_answered_is_not_met_however_small_the_harm(tmp_path: Path) -> None:
    learned = {"reliability": Estimate(0.9, 0.8, 0.95, 50)}
    assert verdict.judge(run(tmp_path), SMALL_LOSS | learned).word == "not met"
    assert verdict.judge(run(tmp_path), SMALL_LOSS | {"reliability": Estimate(0.99, 0.9, 1.0, 100)}).word == "met"


def test_a_pack_is_judged_by_its_own_words(tmp_path: Path) -> None:
    told = {"name": "known_lost", "limit": 0.01, "verdict": "not met", "why": "0.0200, may be 0.0300"}
    (tmp_path / "pack.json").write_text(json.dumps({"verdicts": [told]}))
    found = verdict.judge(run(tmp_path), SMALL_LOSS)
    assert found.word == "not met"
    assert found.verdicts[0].estimate == SMALL_LOSS["known_lost_net"]
    assert found.sentence() == "known facts lost not met (limit 1.0%): 2.0%, may be 3.0%"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["reliability", "known_lost_net", "refusals_lost_net", "benchmark_drop"], [0, 1, 2]),
        (["known_lost_net", "benchmark_drop"], [0, 1, 3]),  # reliability stays, as not measured
        (["known_lost_net", "refusals_lost_net", "benchmark_drop"], [1, 2, 3]),
    ],
)
def test_figures_that_were_measured_come_before_those_that_were_not(names: list[str], chosen: list[int]) -> None:
    found = {name: Estimate(0.5, 0.4, 0.6, 10) for name in names}
    deciding = first_screen.deciding(found)
    assert [one.name for one in deciding] == [first_screen.DECISIVE[i] for i in chosen]
    assert [one.estimate is None for one in deciding] == [one.name not in names for one in deciding]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.034, "3.4%"), (0.951, "95%"), (-0.25, "−25%")),
        (-0.0001, "0.0%"),  # no minus nought
        (289 / 290, "99.7%"),  # one of 290 answers was wrong, and the page opened with "100% right answers"
        *((0.994, "99%"), (0.99996, "100%"), (1.0, "100%")),
    ],
)
def test_shares_as_they_are_printed(value: float, text: str) -> None:
    assert shares.share(value) == text


@pytest.mark.parametrize(
    ("value", "limit", "text"),
    [
        (57.4 / 58, 0.99, "98.97%"),  # "not met (limit 99%): 99%" was printed
        (0.1004, 0.1, "10.04%"),
        (0.99, 0.99, "99%"),
        (0.95, 0.99, "95%"),
        (0.0499, 0.05, "4.99%"),
    ],
)
def test_a_share_that_misses_its_limit_is_not_printed_as_the_limit(value: float, limit: float, text: str) -> None:
    assert shares.share(value, limit) == text


def test_the_reason_of_a_verdict_shows_that_the_limit_was_missed() -> None:
    assert shares.in_shares("0.9897 of 58 trained facts", 0.99) == "98.97% of 58 trained facts"
    value = 0.0284974  # by way of 0.0285 it was 2.9%, where the headline said 2.8%
    met = Budget(known_lost=0.05, refusals_lost=None)
    (said,) = judged({"known_lost_net": Estimate(value, 0.004, 0.0641, 193)}, met)
    assert shares.in_shares(said.why, 0.05).startswith(f"{shares.share(value)} measured, may be 6.4%")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("out/pack/adapter", "out/pack/adapter"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("/home/somebody/experiments/2026-11/out/packed/adapter", "packed/adapter"),
        (41 * "x", 41 * "x"),
    ],
)
def test_a_long_path_in_the_heading_is_its_last_two_parts(name: str, text: str) -> None:
    assert first_screen.short(name) == text


def test_stages_of_a_manifest_have_names_for_a_person() -> None:
    assert provenance.stage_name("train 00-a09815f1f6ba7034") == "training, attempt 1"
    assert provenance.stage_name("validate 03-a09815f1f6ba7034") == "judging, attempt 4"
    assert provenance.stage_name("further-base") == "asking the base in other ways"
    assert provenance.stage_name("a stage of tomorrow") == "a stage of tomorrow"


def test_the_page_does_not_say_that_a_count_was_judged_on_its_interval(tmp_path: Path) -> None:
    """99.7% [93%, 100%] of the packed facts against a limit of 99% is met, as measured: the page said "on the end"."""
    alone = verdict.judge(run(tmp_path), SMALL_LOSS).rule()
    assert alone == (
        "Judged by the default limits of knowpack pack: losses by the worse end of their 95% interval. "
        "No limit was set on fall of a benchmark."
    )
    with_new = verdict.judge(run(tmp_path), SMALL_LOSS | {"reliability": Estimate(0.997, 0.93, 1.0, 58)}).rule()
    assert "knowpack pack: new facts answered as measured, since all of them were asked; losses by" in with_new


def test_the_line_of_a_verdict_that_is_met_reads_limit_by_limit(tmp_path: Path) -> None:
    """ "new facts answered 99.7% of the answers to 58 facts (limit 99%), known facts lost 1% measured" stood there."""
    found = verdict.judge(run(tmp_path), SMALL_LOSS | {"reliability": Estimate(0.997, 0.93, 1.0, 58)})
    assert found.sentence() == (
        "new facts answered: 99.7% of the answers to 58 facts right (limit 99%); "
        "known facts lost: 1.0% measured, at most 3.0% (limit 5.0%); "
        "refusals lost: 0.0% measured, at most 2.0% (limit 5.0%)"
    )


def test_the_answer_says_of_how_many_limits_it_speaks(tmp_path: Path) -> None:
    """ "Every limit is met" stood over a pack whose limits on refusals and benchmarks had been lifted."""
    both = verdict.judge(run(tmp_path), SMALL_LOSS)
    assert both.answer() == "Yes: both limits that were set are met."
    missed = SMALL_LOSS | {"known_lost_net": Estimate(0.2, 0.1, 0.3, 900)}
    assert verdict.judge(run(tmp_path), missed).answer() == "No: 1 of 2 limits is not met."
    verdict.keep(tmp_path, Budget(known_lost=0.05, refusals_lost=None))
    alone = verdict.judge(run(tmp_path), SMALL_LOSS)
    assert alone.answer() == "Yes: the one limit that was set is met."
    assert alone.rule().endswith("No limit was set on refusals lost and fall of a benchmark.")
    assert verdict.options(run(tmp_path)) == " --budget refusals_lost=none"
