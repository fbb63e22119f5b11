"""Pack: teach a model my facts and keep the rest, within a harm budget.

flow.py             facts + budget -> one adapter, its report, and the frontier of all attempts; read this first
request.py          what a user asks
problems.py         facts that contradict, cannot be told apart, or are known already: named before any training
changes.py          what is new, what an adapter holds (earlier_adapter.py), what is taken back (overlap.py)
continuing.py       the adapter that facts are added to, against its base and recipe, before anything is asked
self_written.py     questions that the model writes itself, where there is no table of facts to keep
facts_to_measure.py, plan.py   who is replayed, who validates, who is in the report; the rank from the load
attempts.py         recipe after recipe; trial.py: one of them, trained and validated
budget.py           limits on harm, and what was measured against them
updates.py, upkeep.py   which facts change an answer, and what is reported of facts that stay current
pack_forecast.py    the plan before the work
capacity.py         how much fits: recall against load, with and without the budget
"""
