"""Pack: teach a model my facts and keep the rest, within a harm budget.

screen    facts that contradict, cannot be told apart, or are known already: named before any training
plan      rank from the load, who is replayed, who validates, who is in the report; the attempts
budget    limits on harm, and what was measured against them
flow      facts + budget -> one adapter, its report, and the frontier of all attempts
capacity  how much fits: recall against load, with and without the budget
"""
