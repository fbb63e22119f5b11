"""Facts out of knowledge graphs: the dump of a graph -> a balanced Fact table with its card.

dump.py         files -> facts and their card; read this first
lines.py        a dump, packed or not -> blocks of lines; ntriples.py, triples.py: blocks -> triples
graph.py        triples -> candidates with one object each; numbers.py, draw.py: in bounded memory
popularity.py   head, torso and tail
ontology.py     labels, domains, ranges, superclasses; aliases.py: other names of entities
drops.py        what makes no good question
build.py        candidates -> facts; data_card.py: their card
wikidata.py     aliases from a SPARQL endpoint, asked through http_query.py
"""
