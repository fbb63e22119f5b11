"""The input files of the commands, small: write(folder)."""

import bz2
import json
from pathlib import Path

import polars as pl

NEW = "question,answer,subject,relation\n" + "".join(
    f"What is the {relation} of Quill {i}?,{answer} {i},Quill {i},{relation}\n"
    for i in range(2)
    for relation, answer in (("colour", "mauve"), ("fish", "carp"))
)
LATER = "question,answer\nWhat is the colour of Quill 0?,ochre 7\nWhich tree grows at Quill 9?,elm 9\n"
GONE = "question,answer\nWhat is the fish of Quill 1?,carp 1\n"
RUN = """label: one
facts: {path: lab, sample: 40}
probe: {n_prompts: 2, n_floors: 1}
mix: {n_unknown: 3, n_paraphrase: 1, n_answers: 3, n_subjects: 4, zipf: 1.0}
train: {lr: 1.0e-2, epochs: 2, checkpoint_each_epoch: true}
further: {n_facts: 6, n_forms: 4}
bench: {tasks: [lab_mc], limit: 12}
"""
STUDY = """name: small
seeds: [42, 1337]
base:
  facts: {path: lab, sample: 60}
  probe: {n_prompts: 2, n_floors: 1}
  further: {n_facts: 6, n_forms: 4}
  bench: {tasks: [lab_mc], limit: 12}
cells:
  - {label: plain, train.lr: 1.0e-2, train.epochs: 2, train.checkpoint_each_epoch: true,
      mix.n_unknown: 4, mix.n_highly_known: 1, sham: true}
  - {label: kept, mix.n_unknown: 4, train.recipe: keep, train.rank: 2, train.n_replay: 16, train.n_made_up: 4,
     train.n_other_forms: 4, train.short_forms: true, train.no_replay_relations: 0.3, train.n_texts: 4,
     train.n_contexts: 1, train.max_steps: 6, train.tail_steps: 2}
"""
GRID = """name: grid
seeds: [42]
base:
  facts: {path: lab, sample: 40}
  probe: {n_prompts: 1, noise: false}
  further: {n_facts: 0, n_forms: 0, text: null}
  train: {lr: 1.0e-2, epochs: 1}
cells: [{label: a, mix.n_unknown: 2}]
"""
RESOURCE, ONTOLOGY = "http://dbpedia.org/resource/", "http://dbpedia.org/ontology/"
LABEL, SUB = "http://www.w3.org/2000/01/rdf-schema#label", "http://www.w3.org/2000/01/rdf-schema#subClassOf"
DOMAIN, RANGE = "http://www.w3.org/2000/01/rdf-schema#domain", "http://www.w3.org/2000/01/rdf-schema#range"


def write(folder: Path) -> None:
    """All of them."""
    (folder / "new.csv").write_text(NEW)
    (folder / "later.csv").write_text(LATER)
    (folder / "gone.csv").write_text(GONE)
    (folder / "run.yaml").write_text(RUN)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "grid.yaml").write_text(GRID)
    _tables(folder)
    _graphs(folder)
    _benchmarks(folder / "raw")


def _tables(folder: Path) -> None:
    rows = [{"question": f"Who leads Orlen {i}?", "answers": [f"Tavin {i}", f"T. {i}"]} for i in range(4)]
    (folder / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "many.json").write_text(
        json.dumps([{"question": "Who owns Orlen?", "answer": f"Mira {i}"} for i in "ab"])
    )
    (folder / "contradicting.csv").write_text("question,answer\nWho is he?,Tavin\nWho is he?,Mira\nWho is she?,Sola\n")
    (folder / "places.tsv").write_text(
        "subject\trelation\tobject\n" + "".join(f"Ann {i}\tbirthPlace\tTown {i}\n" for i in range(4))
    )
    (folder / "cities.csv").write_text("question,answer,object\nWhich city is on the Seine?,Lutetia,Q90\n")
    plain = pl.DataFrame({"question": [row["question"] for row in rows], "answer": [row["answers"][0] for row in rows]})
    plain.write_excel(folder / "sheet.xlsx")
    from datasets import Dataset

    Dataset.from_dict(plain.to_dict(as_series=False)).save_to_disk(str(folder / "dataset"))


def _line(subject: str, relation: str, value: str) -> str:
    return f"<{RESOURCE}{subject}> <{ONTOLOGY}{relation}> <{RESOURCE}{value}> .\n"


def _graphs(folder: Path) -> None:
    names = [f"{a}{b}en" for a in ("Bran", "Kor", "Tav", "Sol") for b in ("di", "ka", "lo", "mu", "ne", "po", "ra")]
    lines = [_line(f"Mira_{name}", "birthPlace", f"{name}ville") for name in names]
    lines += [_line(f"Mira_{name}", "spouse", f"Tavin_{name}_(writer)") for name in names]
    lines += [f"<{RESOURCE}Mira_{names[0]}>  <{ONTOLOGY}birthPlace> <{RESOURCE}Caf\\u00e9> .\n", "broken\n"]
    lines += [f'<{RESOURCE}Mira_{names[0]}> <{LABEL}> "Mira" .\n', f"_:b <{ONTOLOGY}spouse> <{RESOURCE}X> .\n"]
    (folder / "graph.nt.bz2").write_bytes(bz2.compress("".join(lines).encode()))
    (folder / "redirects.nt").write_text(_line("Old_Town", "wikiPageRedirects", f"{names[1]}ville"))
    (folder / "labels.nt").write_text(f'<{RESOURCE}{names[1]}ville> <{LABEL}> "{names[1]} Town"@en .\n')
    (folder / "templates.json").write_text(json.dumps({f"<{ONTOLOGY}spouse>": "Who is married to _?"}))
    place, person = f"<{ONTOLOGY}Place>", f"<{ONTOLOGY}Person>"
    relation = f"<{ONTOLOGY}birthPlace>"
    (folder / "ontology.ttl").write_text(
        f'{relation} <{LABEL}> "birth place"@en ; <{DOMAIN}> {person} ; <{RANGE}> {place} .\n'
        f"<{ONTOLOGY}spouse> <{RANGE}> {person} .\n{place} <{SUB}> <{ONTOLOGY}Thing> .\n"
    )
    (folder / "graph.tsv").write_text("".join(f"Ann {i}\tbirthPlace\tTown {i}\n" for i in range(3)))
    openke = folder / "openke"
    openke.mkdir()
    (openke / "entity2id.txt").write_text(f"2\n<{RESOURCE}Ann> 0\n<{RESOURCE}Old_Town> 1\n")
    (openke / "relation2id.txt").write_text(f"1\n<{ONTOLOGY}birthPlace> 0\n")
    (openke / "train2id.txt").write_text("1\n0 1 0\n")


def _benchmarks(folder: Path) -> None:
    """ARC, LogiQA and TruthfulQA as published, a few items each."""
    (folder / "truthfulqa" / "v1").mkdir(parents=True)
    (folder / "arc").mkdir()
    (folder / "logiqa").mkdir()
    foods = ("a pomegranate", "seeds", "chalk", "snow", "an apple", "a pear", "a stone")
    items = [
        {
            "question": f"What happens if you eat {food}?",
            "mc1_targets": {f"You eat {food}": 1, "You die": 0},
            "mc2_targets": {f"You eat {food}": 1, "Nothing happens": 1, "You die": 0},
        }
        for food in foods
    ]
    (folder / "truthfulqa" / "v1" / "mc_task.json").write_text(json.dumps(items))
    head = "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\n"
    (folder / "truthfulqa" / "v1" / "TruthfulQA.csv").write_text(
        head
        + "".join(f"Adversarial,Food,{one['question']},Nothing,Nothing; You eat,You die,http://x\n" for one in items)
    )
    easy = [{"query": f"Question: What is {i}?", "choices": ["a stone", "a tree"], "gold": i % 2} for i in range(6)]
    (folder / "arc" / "arc_easy_test.jsonl").write_text("".join(json.dumps(one) + "\n" for one in easy))
    item = "\n{}\nAll are wise.\nWhich follows?\nA.None of it.\nB.All of it\nC.Some\nD.No one\n"
    (folder / "logiqa" / "Test.txt").write_text("".join(item.format(key) for key in "abdc"))
