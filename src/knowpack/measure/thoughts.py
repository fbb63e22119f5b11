"""What a model says aloud: its text without the thoughts before the answer.

text -> text. A block of thoughts ("<think> ... </think>", "[THINK] ... [/THINK]") is skipped; where only its end is
seen the prompt had opened it; where its end never came (the tokens ran out) nothing was said.
"""

import re

NAME = r"(?:\w+:)?(?:think|thinking|thoughts?|reason|reasoning)"
"""What models call their thoughts, in marks of any brackets; read without regard to case."""
BEGIN, END = rf"[<\[◁]{NAME}[>\]▷]", rf"[<\[◁]/{NAME}[>\]▷]"
MARK = re.compile(rf"{BEGIN}|{END}", re.IGNORECASE)
_BLOCK = re.compile(rf"{BEGIN}.*?(?:{END}|\Z)", re.DOTALL | re.IGNORECASE)
_OPENED_BEFORE = re.compile(rf"\A.*?{END}", re.DOTALL | re.IGNORECASE)


def aloud(text: str) -> str:
    """The text without its thoughts; as it is where it has none."""
    first = MARK.search(text)
    if first is None:
        return text
    if first[0][1] == "/":
        text = _OPENED_BEFORE.sub("", text, count=1)
    return _BLOCK.sub("", text)
