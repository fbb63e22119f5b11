"""Pack: teach a model my facts and keep the rest, within a harm budget.

screen    facts that contradict, cannot be told apart, or are known already: named before any training
plan      rank from the load, who is replayed, who validates, who is in the report; the attempts
budget    limits on harm, and what was measured against them
changes, earlier, overlap   what is new, what an adapter holds, what is taken back
going_on  the adapter that facts are added to, against its base and recipe, before anything is asked
updates, upkeep   which facts change an answer, and what is reported of facts that stay current
flow      facts + budget -> one adapter, its report, and the frontier of all attempts
capacity  how much fits: recall against load, with and without the budget
"""
