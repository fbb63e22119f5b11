"""What is decided before training: the rank, who plays which part, how many attempts.

facts to pack + facts to keep -> `Parts` (replay, validation, report: disjoint), the rank, the examples.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import polars as pl

from knowpack.config import FactsConfig
from knowpack.errors import FactsError
from knowpack.facts.from_config import sampled
from knowpack.pack import overlap
from knowpack.records import Kind
from knowpack.train.mix import identified, paraphrases
from knowpack.train.short_forms import in_short_forms

if TYPE_CHECKING:
    from knowpack.probe.askers import Answers
    from knowpack.probe.prompts import Prompter

Effort = Literal["quick", "normal", "thorough"]
EFFORTS: tuple[Effort, ...] = ("quick", "normal", "thorough")
BITS_PER_PARAMETER = 0.05
"""Load at which the rank is chosen. A guess from two ranks that worked (50 facts rank 4, 500 facts rank 16, on a
prototype), not a measurement: `knowpack capacity` measures it. Full models hold 2 (Allen-Zhu, Li 2024)."""
MIN_RANK, MAX_RANK = 64, 128  # lower ranks hold 50 facts as well, and harm more (docs/LOG.md)
N_ATTEMPTS: Mapping[Effort, int] = {"quick": 1, "normal": 2, "thorough": 4}
N_REPORT, N_VALIDATION = 2000, 500
TRAINED_WORDINGS = 10
LEAST_APART = 20  # facts that harm can be measured on


class Parts(NamedTuple):
    """The facts to keep, each in one part."""

    replay: pl.DataFrame
    validation: pl.DataFrame
    report: pl.DataFrame
    about: pl.DataFrame
    """Those about a packed fact, in no other part: it may be an update of them."""


def parts(
    known: pl.DataFrame,
    packed: pl.DataFrame,
    seed: int,
    n_report: int = N_REPORT,
    n_validation: int = N_VALIDATION,
    measured: pl.DataFrame | None = None,
) -> Parts:
    """Split the facts to keep, stratified by relation and popularity; at most half of them report, a sixth validate.

    Drawn from the whole table, and whatever is about a packed fact taken out after: replay would hold its old answer,
    and its loss is no harm. So the packs of one table and seed have the same parts, and what measures an adapter that
    goes on from another (--onto) was replayed for neither.
    measured: of these, at most four fifths report and the others validate; all that is left is replayed. Raises
    FactsError where they are fewer than two, or all that was drawn is about packed facts.
    """
    about = touching(known, packed)
    pool = known if measured is None else known.join(measured, on="fact_id", how="semi", maintain_order="left")
    if pool.height < 2:  # never of the whole table: `touching` wants more
        raise FactsError(
            f"harm is measured on facts that the model answers, one to report and one to validate, and there "
            f"{'is' if pool.height == 1 else 'are'} {pool.height}; ask more facts with --screen"
        )
    most = pool.height // 2 if measured is None else pool.height * 4 // 5
    report = sampled(pool, FactsConfig(sample=min(n_report, most), sample_seed=seed))
    rest = pool.join(report, on="fact_id", how="anti", maintain_order="left")
    most = rest.height // 3 if measured is None else rest.height
    validation = sampled(rest, FactsConfig(sample=min(n_validation, most), sample_seed=seed + 1))
    replay = known.join(pl.concat([report, validation]), on="fact_id", how="anti", maintain_order="left")
    is_about = pl.col("fact_id").is_in(list(about))
    replay, validation, report = (part.filter(~is_about) for part in (replay, validation, report))
    result = Parts(replay, validation, report, known.filter(is_about))
    if result.validation.is_empty() or result.report.is_empty():
        more = "draw more with --sample" if measured is None else "ask more facts with --screen"
        raise FactsError(f"all facts drawn to measure harm on are about packed ones; {more}")
    return result


def touching(known: pl.DataFrame, packed: pl.DataFrame) -> set[str]:
    """The facts to keep that are about a packed one. Raises FactsError where hardly any other is left."""
    about = set(packed["fact_id"]) | overlap.ids(packed, known)
    n_apart = known.filter(~pl.col("fact_id").is_in(list(about))).height
    if n_apart < LEAST_APART:
        raise FactsError(
            f"harm is measured on facts that are not packed, and there are {n_apart}; give a larger table with "
            f"--known (at least {LEAST_APART} facts)"
        )
    return about


def bits(asker: "Answers", prompter: "Prompter", facts: pl.DataFrame) -> float:
    """How much the base does not know of the facts: minus log2 of what it gives their answers, summed."""
    questions = facts["question"].to_list()
    batch = prompter.batch((), questions)
    answers = [
        prompter.answer_ids(answers[0], question)
        for question, answers in facts.select("question", "answers").iter_rows()
    ]
    scored = asker.logprobs(batch.prefix, batch.tails, answers)
    return -sum(one.logprob for one in scored) / math.log(2)


def rank_for(n_bits: float, parameters_per_rank: int) -> int:
    """The power of two that holds the bits at BITS_PER_PARAMETER, from MIN_RANK to MAX_RANK."""
    least = n_bits / BITS_PER_PARAMETER / parameters_per_rank
    return min(MAX_RANK, max(MIN_RANK, 1 << math.ceil(math.log2(max(least, 1)))))


def examples(
    packed: pl.DataFrame,
    held_out: int,
    replay: pl.DataFrame,
    known: pl.DataFrame | None = None,
    *,
    short_forms: bool = False,
) -> pl.DataFrame:
    """Example table: the question and up to ten wordings of each packed fact, and the replay rows.

    known: facts that the base answers already, in their wordings too; they are no new ones to the report.
    """
    both = packed if known is None else pl.concat([packed, known])
    answer = both.select("fact_id", answer=pl.col("answers").list.first())
    is_new = pl.col("fact_id").is_in(packed["fact_id"].to_list())
    kind = pl.when(is_new).then(pl.lit(str(Kind.UNKNOWN))).otherwise(pl.lit(str(Kind.HIGHLY_KNOWN)))
    questions = both.select("fact_id", "question", kind=kind)
    reworded = paraphrases(both, held_out).filter(pl.col("form") <= TRAINED_WORDINGS)
    reworded = reworded.select("fact_id", "question", kind=pl.lit(str(Kind.PARAPHRASE)))
    learned = identified(pl.concat([questions, reworded]).join(answer, on="fact_id", maintain_order="left"))
    return pl.concat([learned, *([in_short_forms(learned, both)] if short_forms else []), replay])
