"""Answers -> figures. One function a figure.

grading.py          text -> right, wrong, refused; normalised.py, matching.py, common_words.py, thoughts.py: its rules
knowledge.py        answers -> what a model knows (Unknown ... HighlyKnown)
shifts.py           how facts moved between two knowledge maps
harm.py             what an adapter cost, over the facts at stake (stakes.py); replay_apart.py: where no replay was
group_harm.py       by relation and popularity
causes.py           why facts moved; evidence.py: what a rule may read; default_causes.py, paper_causes.py: the rules
cause_rates.py      base rates and placebos of causes
collapse.py, regress.py   do the answers still differ; does the model fall back on those it was trained on
confidence.py, calibration.py   how sure it is, and whether it may be
current.py          updates, facts packed earlier, facts taken back
further_figures.py  what is asked beside the probe; own_answers.py: of questions that the model wrote
compare_cells.py    cells of a grid against each other; abstract_claims.py: the paper's five claims
stats.py, p_values.py   intervals; tests and corrections
"""
