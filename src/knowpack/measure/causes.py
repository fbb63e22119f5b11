"""Why facts moved from Unknown to HighlyKnown and back, and whether those reasons mean anything.

Shift table + responses before and after + examples + facts -> causes of each shift, their base rates and placebos, and
the unexplained rest (Pletenev et al. 2025, section 5.2, Table 5). Causes overlap. Rows of the paper's grader follow the
authors' rules (paper_causes.py), rows of the default grader ours (default_causes.py).
"""

from collections.abc import Callable, Iterator, Sequence

import polars as pl

from knowpack.errors import FactsError
from knowpack.measure import default_causes, paper_causes
from knowpack.measure.evidence import CauseRule, Evidence, gather
from knowpack.records import GRADERS, Category, Cause, Grader

COUNT_TRAINED: dict[Grader, bool] = {"default": False, "paper": True}
"""Do the trained facts count among those that moved? The authors count them."""


def _by_grader(
    default: Callable[[Evidence], pl.Series], paper: Callable[[Evidence], pl.Series]
) -> Callable[[Evidence], pl.Series]:
    return lambda evidence: (paper if evidence.grader == "paper" else default)(evidence)


RULES: tuple[CauseRule, ...] = (
    CauseRule(
        Cause.NON_REFUSAL,
        "non-refusal",
        ("up",),
        False,
        _by_grader(default_causes.refused, paper_causes.refused),
        meaning="the base refused to answer",
    ),
    CauseRule(
        Cause.EXPLOSION,
        "explosion",
        ("up", "down"),
        False,
        _by_grader(default_causes.explosion, paper_causes.explosion),
        meaning="the new answer is given to far more questions than any was before",
    ),
    CauseRule(
        Cause.TARGET,
        "target",
        ("up", "down"),
        True,
        _by_grader(default_causes.target, paper_causes.target),
        meaning="the new answer is that of a trained fact",
    ),
    CauseRule(
        Cause.DOMAIN,
        "domain",
        ("up", "down"),
        True,
        _by_grader(default_causes.domain, paper_causes.domain),
        meaning="the fact is of the domain, or the range, of a trained one",
    ),
)
"""In the order of the tables. Everything that names causes reads this: a sixth one is a rule more."""


def explain(
    shifts: pl.DataFrame,
    before: pl.DataFrame,
    after: pl.DataFrame,
    examples: pl.DataFrame,
    facts: pl.DataFrame,
    *,
    labelled: bool = True,
) -> pl.DataFrame:
    """The Shift table with its causes filled, for Unknown -> HighlyKnown and HighlyKnown -> Unknown.

    before, after: Response tables of the base and the tuned model. A fact that its own grader's rules do not count
    (a trained one, by default) keeps no causes. labelled: see `evidence.gather`.
    """
    parts = []
    for evidence in each_grader(before, after, examples, facts, labelled):
        signed = signed_shifts(shifts, evidence)
        names = pl.concat_list(
            pl.when(pl.any_horizontal(*rule.directions) & pl.col("counted") & pl.col(column(rule))).then(
                pl.lit(str(rule.name))
            )
            for rule in RULES
        ).list.drop_nulls()
        parts.append(signed.with_columns(causes=names).select(shifts.columns))
    return pl.concat(parts)


def each_grader(
    before: pl.DataFrame, after: pl.DataFrame, examples: pl.DataFrame, facts: pl.DataFrame, labelled: bool
) -> Iterator[Evidence]:
    """What the rules look at, grader by grader."""
    for grader in GRADERS:
        yield gather(grader, before, after, examples, facts, labelled=labelled)


def column(rule: CauseRule) -> str:
    """Its name in `signed_shifts`."""
    return f"cause:{rule.name}"


def with_columns_of(frame: pl.DataFrame, evidence: Evidence, rules: Sequence[CauseRule]) -> pl.DataFrame:
    """A column for each rule: does it hold for the fact?"""
    return frame.with_columns(
        pl.col("fact_id").is_in(rule.holds(evidence).to_list()).alias(column(rule)) for rule in rules
    )


def signed_shifts(shifts: pl.DataFrame, evidence: Evidence) -> pl.DataFrame:
    """One grader's shifts with a column for each cause, up, down, counted, and new_wrong_answer."""
    mine = shifts.filter(pl.col("grader") == evidence.grader)
    answered = set(evidence.was["fact_id"]) & set(evidence.now["fact_id"]) & set(evidence.facts["fact_id"])
    if not answered >= set(mine["fact_id"]):
        raise FactsError("some facts of the shifts have no greedy answers before or after, or are no known facts")
    low = [str(Category.UNKNOWN), str(Category.WEAKLY_KNOWN)]
    refused = evidence.after.group_by("fact_id").agg(refuses=pl.col(f"refused_{evidence.grader}").mean() >= 0.5)
    answers = evidence.was.select("fact_id", old=pl.coalesce("answer", "text")).join(
        evidence.now.select("fact_id", new=pl.coalesce("answer", "text")).join(refused, on="fact_id"), on="fact_id"
    )
    high = str(Category.HIGHLY_KNOWN)
    signed = mine.join(answers, on="fact_id", how="left", maintain_order="left").with_columns(
        up=pl.col("before").is_in(low) & (pl.col("after") == high),
        down=(pl.col("before") == high) & pl.col("after").is_in(low),
        counted=~pl.col("trained") | pl.lit(COUNT_TRAINED[evidence.grader]),
        new_wrong_answer=pl.col("before").is_in(low)
        & pl.col("after").is_in(low)
        & pl.col("old").ne_missing(pl.col("new"))
        & ~pl.col("refuses"),
    )
    return with_columns_of(signed, evidence, RULES)
