"""Token ids -> token ids and log-probabilities, fast: prefixes are shared, drafts are checked.

transformers_asker.py   the TokenAsker over weights in memory
decoder.py          many questions behind one prefix -> answers; read this first
ways.py             how a model can be asked: shared, copied_cache.py, whole_prompts.py
prompt_rows.py      questions -> rows; task.py: how tokens are chosen and when a row ends; pool.py: rows under way
forward.py          one forward over packed rows; rows.py: the packing
attention.py        over a shared prefix and a row's own tokens; kernels.py: torch's
passes.py, products.py   layers with less work, on a CPU
scoring.py          log-probabilities of continuations
forest.py, packed.py     the same of a benchmark's requests, which share beginnings of many lengths
"""
