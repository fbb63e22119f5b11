"""Harm outside the facts: lm-evaluation-harness, its tasks and scoring as they are, on a shared-prefix decoder.

evaluate.py         (asker, BenchConfig, folder) -> table of Scores; read this first
task_names.py       a name that does not exist, said without lm-eval's import; tasks.py: lm-eval's tasks, built
lm.py               lm-eval's model class over decode/forest.py and decode/packed.py; asker_lm.py: over a server
harness.py          lm-eval's own evaluation; journal.py: answers, kept for a kill
outcomes.py         its results -> outcomes and scores; compare.py: two models, item by item
data.py             raw files (raw_files.py) -> what the tasks read

Paper: section 5.3, Tables 7 and 8.
"""
