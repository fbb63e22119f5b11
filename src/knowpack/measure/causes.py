"""Why facts moved from Unknown to HighlyKnown and back, and whether those reasons mean anything.

Shift table + responses before and after + examples + facts -> causes of each shift, their base rates among the facts
that did not move, and the unexplained rest (Pletenev et al. 2025, section 5.2, Table 5). Causes overlap.
Rows of the paper's grader follow the rules of the authors' code, rows of the default grader ours (`RULES`).
"""

from dataclasses import dataclass

import polars as pl

from knowpack.errors import FactsError
from knowpack.measure import stats
from knowpack.measure.grading import clean, normalise
from knowpack.records import GRADERS, Category, Cause, Figure, Grader, Kind

UP = (Cause.NON_REFUSAL, Cause.EXPLOSION, Cause.TARGET, Cause.DOMAIN)
DOWN = (Cause.EXPLOSION, Cause.TARGET, Cause.DOMAIN)
_BASE_MAX = 661  # the base's most frequent answer in the paper's 210,360
_EXPLODED = 850  # the authors' threshold over the same


@dataclass(frozen=True, slots=True)
class Rules:
    """How one grader's rows decide on causes."""

    first_prompt: bool
    """Refused = refused under the first prompt; else under at least half of the prompts."""
    explosion_share: float | None
    """Exploded = given in more than this share of all answers; None = more than 850/661 times as often as the base
    gives any answer, which is the same margin, measured. An answer that one fact alone could give never counts."""
    raw_substring: bool
    """Target = a trained answer anywhere in the text; else as whole tokens of the normalised first line."""
    count_trained: bool
    """The trained facts count among those that moved."""


RULES: dict[Grader, Rules] = {
    "default": Rules(first_prompt=False, explosion_share=None, raw_substring=False, count_trained=False),
    "paper": Rules(first_prompt=True, explosion_share=_EXPLODED / 210_360, raw_substring=True, count_trained=True),
}


def explain(
    shifts: pl.DataFrame,
    before: pl.DataFrame,
    after: pl.DataFrame,
    examples: pl.DataFrame,
    facts: pl.DataFrame,
) -> pl.DataFrame:
    """The Shift table with its causes filled, for Unknown -> HighlyKnown and HighlyKnown -> Unknown.

    before, after: Response tables of the base and the tuned model. A fact that its own grader's rules do not count
    (a trained one, by default) keeps no causes.
    """
    signed = _signed(shifts, before, after, examples, facts)
    held = pl.concat_list(
        pl.when(pl.col(cause) & (pl.col("up") if cause == Cause.NON_REFUSAL else pl.lit(True))).then(pl.lit(str(cause)))
        for cause in UP
    ).list.drop_nulls()
    none = pl.lit([], dtype=pl.List(pl.String))
    moved = (pl.col("up") | pl.col("down")) & pl.col("counted")
    return signed.with_columns(causes=pl.when(moved).then(held).otherwise(none)).select(shifts.columns)


def base_rates(
    shifts: pl.DataFrame,
    before: pl.DataFrame,
    after: pl.DataFrame,
    examples: pl.DataFrame,
    facts: pl.DataFrame,
) -> pl.DataFrame:
    """The paper's Table 5 with base rates: [grader, direction, cause, n_moved, n, share, n_still, base_rate].

    direction: up (Unknown -> HighlyKnown) or down. cause: a `Cause`, explained (any), unexplained (none).
    share: of the moved, null where none moved. base_rate: how often the same holds among the facts that stayed where
    the moved ones started; a cause that is as frequent there explains nothing. Where no trained Unknown fact is known
    (somebody's adapter, a sham), target and domain are not measured, and not listed.
    """
    taught = bool((examples["kind"] == str(Kind.UNKNOWN)).any())
    signed = _signed(shifts, before, after, examples, facts).filter(pl.col("counted"))
    lines = []
    for grader in GRADERS:
        mine = signed.filter(pl.col("grader") == grader)
        for direction, listed, stayed in (("up", UP, Category.UNKNOWN), ("down", DOWN, Category.HIGHLY_KNOWN)):
            causes = [cause for cause in listed if taught or cause not in (Cause.TARGET, Cause.DOMAIN)]
            explained = pl.any_horizontal(*causes)
            held = {
                **{str(cause): pl.col(cause) for cause in causes},
                "explained": explained,
                "unexplained": ~explained,
            }
            moved = mine.filter(pl.col(direction)).select(**held)
            still = mine.filter(pl.col("before") == stayed, pl.col("after") == stayed).select(**held)
            for cause in held:
                n = int(moved[cause].sum())
                share, base_rate = moved[cause].mean(), still[cause].mean()
                lines.append((grader, direction, cause, len(moved), n, share, len(still), base_rate))
    columns = ["grader", "direction", "cause", "n_moved", "n", "share", "n_still", "base_rate"]
    floats = {"share": pl.Float64, "base_rate": pl.Float64}
    return pl.DataFrame(lines, schema=columns, orient="row", schema_overrides=floats)


def figures(rates: pl.DataFrame) -> list[Figure]:
    """`base_rates` as figures: up_explosion, up_explosion_base_rate, down_unexplained, ...; intervals by Wilson."""
    found = []
    for line in rates.iter_rows(named=True):
        name = f"{line['direction']}_{line['cause']}"
        if line["n_moved"]:
            found.append(Figure(name, line["grader"], *stats.wilson(line["n"], line["n_moved"])))
        if line["n_still"]:
            n_held = round(line["base_rate"] * line["n_still"])
            share = stats.wilson(n_held, line["n_still"])
            found.append(Figure(f"{name}_base_rate", line["grader"], *share))
    return found


def exploded(before: pl.DataFrame, after: pl.DataFrame, grader: Grader) -> list[str]:
    """The normalised answers that the tuned model gives far more often than the base gives any, most frequent first.

    Refusals do not count, of either model.
    """
    share = RULES[grader].explosion_share
    mine = _answers(after)
    counts = mine.filter(~pl.col(f"refused_{grader}"))["answer"].value_counts(sort=True)
    if share is not None:
        threshold = share * len(mine)
    else:
        theirs = _answers(before)
        base = theirs.filter(~pl.col(f"refused_{grader}"))["answer"].value_counts()["count"].max()
        most = int(base) if isinstance(base, int) else 0
        threshold = _EXPLODED / _BASE_MAX * most * len(mine) / len(theirs)
    threshold = max(threshold, mine["prompt"].n_unique())
    found = counts.filter(pl.col("count") > threshold, pl.col("answer") != "").sort(
        ["count", "answer"], descending=[True, False]
    )
    return found["answer"].to_list()


def _signed(
    shifts: pl.DataFrame,
    before: pl.DataFrame,
    after: pl.DataFrame,
    examples: pl.DataFrame,
    facts: pl.DataFrame,
) -> pl.DataFrame:
    """The Shift table with a column for each cause (does its sign hold, moved or not), up, down and counted."""
    taught = _taught(examples, facts)
    parts = []
    for grader in GRADERS:
        rules = RULES[grader]
        mine = shifts.filter(pl.col("grader") == grader)
        signs = (
            _top_answers(after, grader, rules, exploded(before, after, grader), _targets(taught, rules))
            .join(_refused(before, grader, rules), on="fact_id", how="left")
            .join(_near(taught, facts), on="fact_id", how="left")
        )
        parts.append(mine.join(signs, on="fact_id", how="left", maintain_order="left"))
    low = pl.col("before").is_in([str(Category.UNKNOWN), str(Category.WEAKLY_KNOWN)])
    fell = pl.col("after").is_in([str(Category.UNKNOWN), str(Category.WEAKLY_KNOWN)])
    counts = pl.col("grader").replace_strict({g: RULES[g].count_trained for g in GRADERS}, return_dtype=pl.Boolean)
    signed = pl.concat(parts)
    if signed.select(pl.any_horizontal(pl.col(cause).is_null() for cause in UP).any()).item():
        raise FactsError("some facts of the shifts have no greedy answers before or after, or are no known facts")
    return signed.with_columns(
        up=low & (pl.col("after") == str(Category.HIGHLY_KNOWN)),
        down=(pl.col("before") == str(Category.HIGHLY_KNOWN)) & fell,
        counted=~pl.col("trained") | counts,
    )


def _taught(examples: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """The trained Unknown facts."""
    ids = examples.filter(pl.col("kind") == str(Kind.UNKNOWN))["fact_id"].unique().to_list()
    return facts.filter(pl.col("fact_id").is_in(ids))


def _targets(taught: pl.DataFrame, rules: Rules) -> list[str]:
    """Patterns of the trained answers and aliases, as `_top_answers` looks for them."""
    answers = taught["answers"].explode().drop_nulls().unique().sort().to_list() if len(taught) else []
    if rules.raw_substring:
        return [answer.lower() for answer in answers if answer]
    plain = dict.fromkeys(normalise(answer) for answer in answers)
    return [f" {answer} " for answer in plain if answer]


def _answers(responses: pl.DataFrame) -> pl.DataFrame:
    """The greedy answers to the questions themselves, with their normalised first line as `answer`."""
    greedy = responses.filter(pl.col("form") == 0, pl.col("sample") == 0)
    if greedy.is_empty():
        raise FactsError("got no greedy answers to any question; causes need the responses before and after")
    texts = greedy["text"].unique(maintain_order=True)
    cleaned = pl.DataFrame({"text": texts, "answer": [clean(text) for text in texts]})
    return greedy.join(cleaned, on="text", how="left", maintain_order="left")


def _top_answers(
    after: pl.DataFrame, grader: Grader, rules: Rules, many: list[str], targets: list[str]
) -> pl.DataFrame:
    """[fact_id, explosion, target] of each fact's most frequent answer; ties go to the lowest prompt index."""
    tops = (
        _answers(after)
        .sort("prompt")
        .group_by("fact_id", "answer", maintain_order=True)
        .agg(pl.col("text").first(), count=pl.len(), first=pl.col("prompt").min())
        .sort(["count", "first"], descending=[True, False])
        .group_by("fact_id", maintain_order=True)
        .agg(pl.col("answer").first(), pl.col("text").first())
    )
    said = pl.col("text").str.to_lowercase() if rules.raw_substring else pl.format(" {} ", pl.col("answer"))
    hit = said.str.contains_any(targets) if targets else pl.lit(False)
    return tops.select("fact_id", explosion=pl.col("answer").is_in(many), target=hit)


def _refused(before: pl.DataFrame, grader: Grader, rules: Rules) -> pl.DataFrame:
    """[fact_id, non_refusal]: did the base refuse?"""
    greedy = before.filter(pl.col("form") == 0, pl.col("sample") == 0)
    if rules.first_prompt:
        greedy = greedy.filter(pl.col("prompt") == pl.col("prompt").min())
    return greedy.group_by("fact_id").agg(non_refusal=pl.col(f"refused_{grader}").mean() >= 0.5)


def _near(taught: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """[fact_id, domain]: its relation has the domain of a trained fact's; the range, where it has no domain."""
    domains = taught["domain"].drop_nulls().unique().to_list()
    ranges = taught["range"].drop_nulls().unique().to_list()
    same = pl.when(pl.col("domain").is_not_null()).then(pl.col("domain").is_in(domains))
    return facts.select("fact_id", domain=same.otherwise(pl.col("range").is_in(ranges)).fill_null(False))
