"""A Modelfile for Ollama on a merged GGUF file; Ollama takes no LoRA (ADAPTER) any more (0.34.1).

The template is the tokenizer's own, rendered once with marks for what Ollama fills in. Ollama adds the first token
(bos) by itself.
"""

from knowpack.errors import ModelError
from knowpack.probe.prompts import Prompter

SYSTEM, PROMPT = "\u2063SYSTEM\u2063", "\u2063PROMPT\u2063"
TEMPLATE_MARKS = ("{{", "}}", '"""')


def modelfile(file: str, prompter: Prompter) -> str:
    """The text of a Modelfile. file: the GGUF file, from the Modelfile's folder."""
    lines = [f"FROM ./{file}", "PARAMETER temperature 0"]
    tokenizer = prompter.tokenizer
    if tokenizer.eos_token:
        lines.append(f'PARAMETER stop "{tokenizer.eos_token}"')
    if not prompter.chat:
        return "\n".join([*lines, 'TEMPLATE """{{ .Prompt }}"""', ""])
    turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}]
    text = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    text = text.removeprefix(str(tokenizer.bos_token or ""))
    if text.count(SYSTEM) != 1 or text.count(PROMPT) != 1 or any(mark in text for mark in TEMPLATE_MARKS):
        raise ModelError(
            "the chat template of this model has no plain system and user turn; write the Modelfile by hand"
        )
    template = text.replace(SYSTEM, "{{ .System }}").replace(PROMPT, "{{ .Prompt }}")
    return "\n".join([*lines, f'SYSTEM """{prompter.system}"""', f'TEMPLATE """{template}{{{{ .Response }}}}"""', ""])
