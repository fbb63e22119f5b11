"""Harm outside the facts: lm-evaluation-harness, its tasks and scoring as they are, on a shared-prefix decoder.

raw files -> data.prepare -> tasks.load -> evaluate (lm.py over forest.py and packed.py) -> compare.
Paper: section 5.3, Tables 7 and 8.
"""
