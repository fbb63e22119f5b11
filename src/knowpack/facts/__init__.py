"""Where facts come from: table files, the lab, knowledge graphs; lint, wordings, paraphrases.

tables     a CSV, JSONL or parquet file, a datasets folder, a hub dataset   -> rows
columns    rows + which column is what                                       -> Fact table
files      "lab" or a path                                                   -> Fact table
lint       Fact table                                                        -> findings
wordings   relation                                                          -> questions, in our own words
paraphrase facts + templates or a model                                      -> facts with more wordings
lines, ntriples, graph, popularity, ontology, aliases, drops, build          knowledge graph dump -> Fact table
"""
