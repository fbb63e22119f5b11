"""Where facts come from: table files, `world`, the lab, knowledge graphs; lint, wordings, paraphrases.

sources.py          a name (world, lab) or a file -> Fact table, or a pool of few-shot examples; read this first
from_config.py      RunConfig -> which facts are asked, from which pool the shots are drawn
readers.py          a CSV, JSONL, parquet or Excel file, a datasets folder, a hub dataset -> rows; delimited.py: CSV
columns.py          rows + which column is what (column_names.py, values.py) -> Fact table; repeats.py: each fact once
lint.py             Fact table -> findings
wordings.py         relation -> questions, in our own words
paraphrase.py       facts + templates or a model -> facts with more wordings
restatements.py     a fact in another form than a question
world_facts.py      what the package ships: `world`, and the examples `general`
shot_answers.py     examples with the answers that the authors' code takes
iri_names.py        IRIs as names that a person would write
graphs/             the dump of a knowledge graph -> Fact table
"""
