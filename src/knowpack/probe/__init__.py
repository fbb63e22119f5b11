"""Questions -> token ids -> answers.

probe.py            every fact under every prompt -> Response table; read this first
askers.py           whoever answers: the seam to models
shots.py            few-shot examples, drawn from a pool; fresh_prompts.py: for the noise floor
turns.py            prompts as chat turns; prompts.py: as token ids; tokens.py: text of users never a special token
questions.py        which wording is asked
by_ids.py           a chunk of facts by token ids; by_text.py: by chat messages
line_end.py         where a plain answer ends; sureness.py: how likely it was
pace.py             how much between two writes to disk
"""
