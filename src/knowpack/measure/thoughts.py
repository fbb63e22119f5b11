"""What a model says aloud: its text without the thoughts before the answer.

text -> text. A block of thoughts ("<think> ... </think>", "[THINK] ... [/THINK]") is skipped; where only its end is
seen the prompt had opened it; where its end never came (the tokens ran out) nothing was said.
"""

import re

_NAME = r"(?:\w+:)?(?:think|thinking|thoughts?|reason|reasoning)"
_BEGIN, _END = rf"[<\[◁]{_NAME}[>\]▷]", rf"[<\[◁]/{_NAME}[>\]▷]"
_BLOCK = re.compile(rf"{_BEGIN}.*?(?:{_END}|\Z)", re.DOTALL | re.IGNORECASE)
_OPENED_BEFORE = re.compile(rf"\A.*?{_END}", re.DOTALL | re.IGNORECASE)
_MARK = re.compile(rf"{_BEGIN}|{_END}", re.IGNORECASE)


def aloud(text: str) -> str:
    """The text without its thoughts; as it is where it has none."""
    first = _MARK.search(text)
    if first is None:
        return text
    if first[0][1] == "/":
        text = _OPENED_BEFORE.sub("", text, count=1)
    return _BLOCK.sub("", text)
