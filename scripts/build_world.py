"""Build src/knowpack/facts/data/world.parquet: real facts that small models know in part.

Packages with data (world-requirements.txt) + tables by hand (world/*.yaml) -> Fact table. Run it as

    pip install -r scripts/world-requirements.txt
    PYTHONPATH=src python scripts/build_world.py

Two builds give the same bytes. What is left out, and why, is counted and printed; the data card has the figures.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import polars as pl
from world import cities, countries, elements
from world.drafts import Draft, table

from knowpack import records
from knowpack.facts.columns import MIN_CHARS
from knowpack.facts.lint import words
from knowpack.records import Fact, fact_id_of

SOURCE = "world"
HEAD, TORSO = 0.2, 0.5
"""Where head and torso end, as shares of a relation's subjects, the best known first."""
OUT = Path(__file__).parent.parent / "src/knowpack/facts/data/world.parquet"


def main() -> None:
    """Build, write, and print what was kept and left out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    dropped: Counter[str] = Counter()
    facts = worded(single(drafts(), dropped), dropped)
    frame = records.table(facts, Fact)
    out.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(out, compression="zstd", compression_level=19, row_group_size=len(frame), statistics=False)
    with pl.Config(tbl_rows=60, tbl_hide_dataframe_shape=True):
        print(
            frame.group_by("relation", maintain_order=True).agg(
                n=pl.len(),
                objects=pl.col("object").n_unique(),
                head=(pl.col("popularity") == "head").sum(),
                torso=(pl.col("popularity") == "torso").sum(),
                tail=(pl.col("popularity") == "tail").sum(),
            )
        )
    print(f"{len(frame):,} facts, {frame['relation'].n_unique()} relations, {out.stat().st_size / 1e6:.2f} MB: {out}")
    for reason, n in sorted(dropped.items()):
        print(f"left out {n:5d}  {reason}")


def drafts() -> list[Draft]:
    """Everything the packages say, in the order of the wordings' relations."""
    parts = [
        countries.drafts(),
        countries.languages(),
        cities.drafts(),
        cities.american(),
        cities.subdivided(),
        cities.airports(),
        elements.drafts(),
    ]
    order = {relation: n for n, relation in enumerate(table("wordings"))}
    return sorted((draft for part in parts for draft in part), key=lambda d: (order[d.relation], -d.weight, d.subject))


def single(drafts: Iterable[Draft], dropped: Counter[str]) -> list[Draft]:
    """One object a subject and relation, and no answer that is found inside another object's."""
    by_subject = defaultdict(list)
    for draft in drafts:
        by_subject[(draft.relation, words(draft.subject))].append(draft)
    kept = []
    for group in by_subject.values():
        if len({draft.object for draft in group}) == 1:
            kept.append(group[0])
        else:
            dropped[f"{group[0].relation}: a subject with several objects"] += len(group)
    return _told_apart(kept, dropped)


def _told_apart(drafts: list[Draft], dropped: Counter[str]) -> list[Draft]:
    """Without names that a grader would find in the right answer to another question of the relation.

    "Guinea" stands in "Papua New Guinea": facts with that object go. Where one of the two names is an alias, only
    the alias goes: "Republic of Korea" (in the North's official name).
    """
    objects: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for draft in drafts:
        objects[draft.relation][draft.object] |= set(draft.aliases)
    bad: set[tuple[str, str, str]] = set()  # relation, object, name
    for relation, names in objects.items():
        every = [(obj, name, words(name)) for obj, own in names.items() for name in (obj, *sorted(own))]
        text = "\n".join(key for _, _, key in every)
        for obj, name, key in every:
            own = sum(key in other for o, _, other in every if o == obj) if text.count(key) > 1 else 1
            if text.count(key) <= own:
                continue
            for holder, answer, other in every:
                if holder != obj and key in other:
                    spared = name == obj and answer != holder  # a canonical name inside an alias: the alias goes
                    bad.add((relation, holder, answer) if spared else (relation, obj, name))
    kept = []
    for draft in drafts:
        if (draft.relation, draft.object, draft.object) in bad:
            dropped[f"{draft.relation}: an answer that stands in another object's name"] += 1
            continue
        aliases = tuple(a for a in draft.aliases if (draft.relation, draft.object, a) not in bad)
        kept.append(replace(draft, aliases=aliases))
    return kept


def worded(drafts: list[Draft], dropped: Counter[str]) -> list[Fact]:
    """Drafts -> facts, without those whose answer is too short or stands in a wording."""
    wordings = table("wordings")
    kept = []
    for draft, rank in zip(drafts, _popularity(drafts), strict=True):
        wording = wordings[draft.relation]
        questions = [_filled(template, draft) for template in wording["questions"]]
        answers = (draft.object, *(alias for alias in draft.aliases if words(alias) != "  "))
        if any(len(answer) < MIN_CHARS for answer in answers):
            dropped[f"{draft.relation}: an answer of one character"] += 1
        elif any(words(answer) in words(question) for answer in answers for question in questions):
            dropped[f"{draft.relation}: an answer that stands in a wording"] += 1
        else:
            question, *others = questions
            identity = fact_id_of(SOURCE, draft.subject, draft.relation, draft.object, question)
            kept.append(
                Fact(
                    identity,
                    question,
                    answers,
                    tuple(others),
                    draft.subject,
                    draft.relation,
                    draft.object,
                    wording["domain"],
                    wording["range"],
                    rank,
                    SOURCE,
                )
            )
    return kept


def _filled(template: str, draft: Draft) -> str:
    text = template.format(s=draft.shown or draft.subject, **draft.places)
    return text[0].upper() + text[1:]


def _popularity(drafts: list[Draft]) -> list[str]:
    """Within each relation, by inhabitants, speakers or age: the first fifth head, three tenths torso, half tail."""
    by_relation = defaultdict(list)
    for n, draft in enumerate(drafts):
        by_relation[draft.relation].append(n)
    rank = {}
    for members in by_relation.values():  # the drafts come with the best known first
        for place, n in enumerate(members):
            share = place / len(members)
            rank[n] = "head" if share < HEAD else "torso" if share < TORSO else "tail"
    return [rank[n] for n in range(len(drafts))]


if __name__ == "__main__":
    main()
