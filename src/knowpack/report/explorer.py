"""What the fact explorer shows, packed small: the facts, how each run left them, and the answers before and after.

Tables -> JSON values. Shares of correct answers and causes are strings with one character a fact; `assets/core.js`
unpacks them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from knowpack.measure import causes
from knowpack.records import GRADERS, Kind, Kinship, Knowledge
from knowpack.report.finished_run import Run

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
STEPS = 60  # a share is round(60 p): exact for 1..6, 10, 12, 15, 20 prompts, and one character
UNASKED = "-"
KIN = {str(kin): str(i) for i, kin in enumerate(Kinship)}  # 0..3
TRAINED = {str(kind): str(i) for i, kind in enumerate(Kind, start=5)}  # 5..9; 4 = neither
OTHER_WORDINGS = (Kind.PARAPHRASE, Kind.SHORT_FORM)  # of a fact that has a row of its own
LONGEST = 4000  # characters of an answer that the page shows; the rest is counted
BITS = 5  # causes that one character of DIGITS holds
BLOCK = 500  # facts whose answers lie in one chunk


class Block(NamedTuple):
    """The answers of one model to one block of facts."""

    number: int
    value: dict[str, object]


def facts(frame: pl.DataFrame) -> dict[str, object]:
    """Fact table -> columns; relations, domains, ranges and popularities as a list of names and an index a fact."""
    value: dict[str, object] = {
        "id": frame["fact_id"].to_list(),
        "question": [_cut(text) for text in frame["question"]],
        "answers": [[_cut(text) for text in texts[:12]] for texts in frame["answers"]],
        "subject": frame["subject"].to_list(),
    }
    for name in ("relation", "domain", "range", "popularity"):
        names = frame[name].drop_nulls().unique().sort().to_list()
        place = {text: i for i, text in enumerate(names)}
        value[name] = {"names": names, "of": [-1 if text is None else place[text] for text in frame[name]]}
    return value


def run_columns(run: Run, ids: pl.DataFrame) -> dict[str, object]:
    """How each fact stands before and after a run, in the order of `ids` (one column, fact_id).

    {"kin": str, grader: {"before": str, "after": str, "causes": str, "weak": [[..], [..]]}}: one character a fact, and
    of the causes one for every BITS of them.
    """
    value: dict[str, object] = {"kin": "".join(_kin(run, ids))}
    for grader in GRADERS:
        shifts = ids.join(
            run.shifts.filter(pl.col("grader") == grader), on="fact_id", how="left", maintain_order="left"
        )
        after = _shares(ids, run.knowledge, grader)
        before = _before(run, ids, grader, shifts, after)
        value[grader] = {
            "before": _digits(before),
            "after": _digits(after),
            "causes": _causes(shifts["causes"]),
            "weak": [_weak(shifts["before"]), _weak(shifts["after"])],
        }
    return value


def answers(responses: pl.DataFrame, ids: pl.DataFrame) -> Iterator[Block]:
    """Response table -> one block for every BLOCK facts, greedy answers only.

    {"seen": [[text, alias by the default grader, by the paper's, refused bits, characters left out], ...],
     "of": [[index into seen, a prompt each], ...] a fact of the block, "forms": {fact of the block: {form: [...]}}}.
    """
    keep = ["fact_id", "prompt", "form", "text", "matched_default", "matched_paper", "refused_default", "refused_paper"]
    rows = responses.filter(pl.col("sample") == 0).select(keep)
    placed = ids.with_row_index("place").join(rows, on="fact_id", how="inner")
    placed = placed.sort("place", "form", "prompt").drop("fact_id")
    for number in range(-(-len(ids) // BLOCK)):
        first = number * BLOCK
        mine = placed.filter(pl.col("place").is_between(first, first + BLOCK - 1))
        yield Block(number, _block(mine, first, min(BLOCK, len(ids) - first)))


def _block(mine: pl.DataFrame, first: int, n_facts: int) -> dict[str, object]:
    seen: dict[tuple[object, ...], int] = {}
    of: list[list[int]] = [[] for _ in range(n_facts)]
    forms: dict[int, dict[int, list[int]]] = {}
    for place, _, form, *words in mine.iter_rows():
        index = seen.setdefault(tuple(words), len(seen))
        fact = place - first
        if form == 0:
            of[fact].append(index)
        else:
            forms.setdefault(fact, {}).setdefault(form, []).append(index)
    return {"seen": [_answer(*words) for words in seen], "of": of, "forms": forms}


def _answer(text: object, default: object, paper: object, refused: object, refused_paper: object) -> list[object]:
    words = str(text)
    return [
        words[:LONGEST],
        default,
        paper,
        int(bool(refused)) + 2 * int(bool(refused_paper)),
        max(0, len(words) - LONGEST),
    ]


def _causes(column: pl.Series) -> str:
    """ceil(n_causes / BITS) characters a fact: cause k is bit k % BITS of character k // BITS."""
    names = [str(rule.name) for rule in causes.RULES]
    groups = [names[start : start + BITS] for start in range(0, len(names), BITS)]
    return "".join(
        DIGITS[sum(2**bit for bit, name in enumerate(group) if name in (causes_held or ()))]
        for causes_held in column.to_list()
        for group in groups
    )


def _kin(run: Run, ids: pl.DataFrame) -> list[str]:
    """One character a fact: its kinship, or what it was trained as."""
    first = run.shifts.filter(pl.col("grader") == GRADERS[0]).select("fact_id", "trained", "kinship")
    joined = ids.join(first, on="fact_id", how="left", maintain_order="left")
    kinds: dict[str, str] = {}
    examples = run.examples()
    if examples is not None:
        for fact_id, kind in examples.select("fact_id", "kind").iter_rows():
            if kind not in OTHER_WORDINGS or fact_id not in kinds:
                kinds[fact_id] = TRAINED.get(kind, TRAINED[str(Kind.UNKNOWN)])
    return [
        kinds.get(fact_id, TRAINED[str(Kind.UNKNOWN)]) if trained else KIN.get(kinship or "", "4")
        for fact_id, trained, kinship in joined.iter_rows()
    ]


def _before(
    run: Run, ids: pl.DataFrame, grader: str, shifts: pl.DataFrame, after: list[float | None]
) -> list[float | None]:
    """The base's shares; where its knowledge map is not there, from after - delta_p."""
    known = run.base_table("knowledge.parquet", Knowledge)
    if known is not None:
        return _shares(ids, known, grader)
    deltas = shifts["delta_p"].to_list()
    return [None if p is None or d is None else min(1.0, max(0.0, p - d)) for p, d in zip(after, deltas, strict=True)]


def _shares(ids: pl.DataFrame, knowledge: pl.DataFrame | None, grader: str) -> list[float | None]:
    if knowledge is None:
        return [None] * len(ids)
    mine = knowledge.filter(pl.col("grader") == grader).select("fact_id", "p_correct")
    return ids.join(mine, on="fact_id", how="left", maintain_order="left")["p_correct"].to_list()


def _digits(shares: list[float | None]) -> str:
    """One character a share; 0 and 1 are kept for exactly none and all, so that the category can be read off."""
    return "".join(UNASKED if p is None else DIGITS[_step(p)] for p in shares)


def _step(p: float) -> int:
    if p in (0.0, 1.0):
        return int(p) * STEPS
    return min(STEPS - 1, max(1, round(p * STEPS)))


def _weak(categories: pl.Series) -> list[int]:
    return [i for i, category in enumerate(categories) if category == "WeaklyKnown"]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
