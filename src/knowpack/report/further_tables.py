"""What stands beside the probe: other wordings, neighbours, reversals, two hops, likelihoods, unrelated text.

ReportData -> a Table under one grader; the figures are measure/further_figures.py's.
"""

from knowpack.records import Grader
from knowpack.report.report_data import BEFORE_AND_AFTER, ReportData, Table, before_and_after

LISTED = {
    "wording_right": "Another wording, untrained facts: right",
    "consistency": "Another wording, untrained facts: same answer",
    "neighbour_right": "Other facts of trained subjects: right",
    "reversal_right": "Trained facts backwards: right",
    "reversal_known_right": "Known facts backwards: right",
    "two_hop_right": "Trained fact and one more: right",
    "two_hop_known_right": "Known fact and one more: right",
    "statement_right": "Trained facts as an unfinished sentence: right",
    "statement_known_right": "Known facts as an unfinished sentence: right",
    "yes_no_right": "Claims about trained facts, half of them false: judged right",
    "yes_no_known_right": "Claims about known facts, half of them false: judged right",
    "behind_text_right": "Trained facts behind other text: right",
    "behind_text_known_right": "Known facts behind other text: right",
    "right_logprob": "Log-probability of the right answer, nats",
    "margin": "Its margin to the best distractor, nats",
    "margin_won": "Right answer above all distractors",
    "text_nats": "Unrelated text, nats a token",
    "text_perplexity": "Unrelated text, perplexity",
}


def further(data: ReportData, grader: Grader) -> Table:
    """A line for every cell and figure: the base, the tuned model, the difference."""
    rows = before_and_after(data, grader, LISTED)
    note = (
        "Asked beside the probe under its first prompts, at most further.n_facts of each kind, further.n_forms in "
        "another form. Log-probability: of untrained facts, the canonical answer against others of its relation. "
        "Text: passages that hold no facts."
    )
    return Table("further", "Beside the probe", BEFORE_AND_AFTER, rows, note)
