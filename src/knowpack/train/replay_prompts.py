"""Replay prompts: the questions whose answers are to stay as the base gives them.

facts + the facts to pack + KeepRecipe -> prompts (why, question). Facts of the same relation, of the same range and
unrelated ones, a third each; names that do not exist, put together from parts of names that do, so that refusals stay;
and facts in other forms, so that a claim is still judged and a sentence still ended as the base does it, where without
them every prompt is a question that a fact answers. (Replay against forgetting: Robins 1995; against the base's own
distribution, Li and Hoiem 2016, "Learning without forgetting".)
"""

import polars as pl

from knowpack import records, store
from knowpack.config import KeepRecipe
from knowpack.facts.restatements import WrongAnswers, is_yes_no, keywords, unfinished
from knowpack.records import Example, Fact, Kind, rows
from knowpack.seeds import stream
from knowpack.train.replay_left_out import replayable
from knowpack.train.short_forms import FRAMES

MADE_UP = "made_up"
OTHER_FORM = "other_form"
CLAIMS = (  # none of them in the words of the report's own claims (further/other_forms.py)
    "{question} Is it {answer}? Answer yes or no.",
    'True or false: the answer to "{question}" is {answer}.',
    'Somebody answers the question "{question}" with "{answer}". Is that correct?',
    "{question} {answer}, yes?",
)
SCHEMA = {"fact_id": pl.String(), "why": pl.String(), "question": pl.String()}


def prompts(facts: pl.DataFrame, packed: pl.DataFrame, recipe: KeepRecipe, seed: int) -> pl.DataFrame:
    """Replay prompts [fact_id, why, question]; why: same_relation, same_range, unrelated, made_up or other_form.

    facts: those that no probe will measure harm on; the packed ones among them are left out, and so are the relations
    and subjects that the recipe keeps out of the replay.
    """
    facts = replayable(facts, recipe, seed)
    others = facts.join(packed, on="fact_id", how="anti", maintain_order="left")
    others = others.filter(~pl.col("question").is_in(packed["question"].to_list()))
    shuffled = others.sort("fact_id")[stream(seed, "replay", "facts").permutation(len(others))]
    chosen = _facts(shuffled, packed, recipe.n_replay)
    invented = made_up(facts, packed, recipe.n_made_up, seed)
    formed = in_other_forms(shuffled.reverse(), recipe.n_other_forms, seed)  # what is asked as a question comes last
    return pl.concat([chosen, invented, formed]).unique("question", maintain_order=True)


def as_examples(prompts: pl.DataFrame) -> pl.DataFrame:
    """Replay prompts -> Example rows of kind replay. Their answer is "": the base gives it, in training."""
    ids = [store.hash_of(["replay", question]) for question in prompts["question"]]
    examples = prompts.select(
        example_id=pl.Series(ids, dtype=pl.String),
        fact_id="fact_id",
        kind=pl.lit(str(Kind.REPLAY)),
        question="question",
        answer=pl.lit(""),
    )
    return records.cast(examples, Example)


def _facts(facts: pl.DataFrame, packed: pl.DataFrame, n: int) -> pl.DataFrame:
    relations, ranges = (packed[name].drop_nulls().unique().to_list() for name in ("relation", "range"))
    why = (
        pl.when(pl.col("relation").is_in(relations))
        .then(pl.lit("same_relation"))
        .when(pl.col("range").is_in(ranges))
        .then(pl.lit("same_range"))
        .otherwise(pl.lit("unrelated"))
    )
    labelled = facts.select("fact_id", "question", why=why)
    rank = pl.int_range(pl.len(), dtype=pl.Int64).over("why")
    return labelled.sort(rank, maintain_order=True).head(n).select(*SCHEMA)


def made_up(facts: pl.DataFrame, packed: pl.DataFrame, n: int, seed: int) -> pl.DataFrame:
    """Questions about subjects that do not exist: the question of one fact, a name made from two others of its domain.

    Half of them after questions of the packed relations. Facts whose question does not hold the subject give none.
    """
    subjects = set(facts["subject"].drop_nulls().to_list()) | set(packed["subject"].drop_nulls().to_list())
    relations = set(packed["relation"].drop_nulls().to_list())
    columns = facts.drop_nulls("subject").select("question", "subject", "domain", "relation")
    patterns = [row for row in columns.iter_rows() if row[1] in row[0]]  # (question, subject, domain, relation)
    if not patterns:
        return pl.DataFrame(schema=SCHEMA)
    names: dict[str | None, list[str]] = {}
    for name, domain in dict.fromkeys((subject, domain) for _, subject, domain, _ in patterns):
        names.setdefault(domain, []).append(name)
    near = [one for one in patterns if one[-1] in relations] or patterns
    rng = stream(seed, "replay", "made_up")
    questions: dict[str, None] = {}
    for attempt in range(4 * n):
        if len(questions) == n:
            break
        pool = near if attempt % 2 else patterns
        question, subject, domain, _ = pool[int(rng.integers(len(pool)))]
        first, second = (names[domain][int(rng.integers(len(names[domain])))] for _ in range(2))
        name = recombined(first, second)
        if name not in subjects:
            questions[question.replace(subject, name)] = None
    ids = [f"made-up-{store.hash_of(question)}" for question in questions]
    return pl.DataFrame({"fact_id": ids, "why": [MADE_UP] * len(questions), "question": list(questions)}, schema=SCHEMA)


def in_other_forms(facts: pl.DataFrame, n: int, seed: int) -> pl.DataFrame:
    """The first n facts that have another form: claims, false and true in turn, and of every third fact a short form.

    A fact that cannot be asked so gives none; a short form that cannot be made is a claim instead.
    """
    wrong = WrongAnswers(facts, seed)
    lines: list[tuple[str, str, str]] = []
    for fact in rows(facts, Fact):
        if len(lines) == n:
            break
        place = len(lines)
        short = _short(fact, place // 3) if place % 3 == 2 else None
        if short:
            question = short
        elif is_yes_no(fact) or (answer := fact.answers[0] if place % 2 else wrong.of(fact)) is None:
            continue
        else:
            question = CLAIMS[place // 2 % len(CLAIMS)].format(question=fact.question, answer=answer)
        lines.append((fact.fact_id, OTHER_FORM, question))
    return pl.DataFrame(lines, schema=SCHEMA, orient="row")


def _short(fact: Fact, place: int) -> str | None:
    """Its unfinished sentence and its key words in turn."""
    if place % 2:
        return keywords(fact.question)
    sentence = unfinished(fact)
    return FRAMES[place // 2 % len(FRAMES)].format(sentence=sentence) if sentence else None


def recombined(first: str, second: str) -> str:
    """The head of one name and the end of the other: words where both have several, else letters."""
    a, b = first.split(), second.split()
    if len(a) > 1 and len(b) > 1:
        return " ".join([*a[:-1], b[-1]])
    return first[: (len(first) + 1) // 2] + second[len(second) // 2 :]
