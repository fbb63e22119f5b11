"""Chat templates with the structural trait of each family, in our own words and with the tiny tokenizer's tokens."""

OPEN = "{% if add_generation_prompt %}<|assistant|>{% endif %}"
TURNS = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"

SWITCH = (
    "<s>" + TURNS + "{% if add_generation_prompt %}<|assistant|>"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""Qwen3, GLM: thinks unless a variable says no; then an empty thought opens the answer."""
OPENED = "<s>" + TURNS + "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
"""DeepSeek-R1: the prompt opens a thought, the turns of the past show none."""
LAST_EMPTY = (
    "<s>{% for m in messages %}<|{{ m['role'] }}|>"
    "{% if m['role'] == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m['content'] }}<|end|>{% endfor %}" + OPEN
)
"""Qwen3's last turn: an empty thought is written before the newest answer only."""
ALWAYS = (
    "<s>{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'].split('[/THINK]')[-1] }}<|end|>{% endfor %}" + OPEN
)
"""Magistral: thoughts are cut out of the past, and there is no switch."""
SYSTEM_LAST = (
    "<s>{% set ns = namespace(system='') %}{% for m in messages %}{% if m['role'] == 'system' %}"
    "{% set ns.system = m['content'] %}{% elif m['role'] == 'user' %}<|user|>"
    "{% if loop.last and ns.system %}{{ ns.system }}\n\n{% endif %}{{ m['content'] }}<|assistant|>"
    "{% else %} {{ m['content'] }}<|end|>{% endif %}{% endfor %}"
)
"""Mistral v0.3 and Nemo: the system's text stands in the last user turn, and goes where an answer follows it."""
DATED = "<s><|system|>Today is {{ strftime_now('%d %b %Y') }}.<|end|>" + TURNS + OPEN
"""Llama 3.2, gpt-oss: a clock in the system's turn."""
CHANNEL = (
    "<s>{% for m in messages %}{% if m['role'] == 'assistant' %}<|assistant|><|channel|>final<|message|>"
    "{{ m['content'] }}{% if loop.last %}<|return|>{% else %}<|end|>{% endif %}"
    "{% else %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endif %}{% endfor %}" + OPEN
)
"""gpt-oss: an answer stands in a channel of its own, which the prompt leaves to the model."""
DEAF = "<s>{% for m in messages %}<|{{ m['role'] }}|>Hello.<|end|>{% endfor %}" + OPEN
"""One that shows no question."""
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('only user and assistant') }}{% endif %}<s>" + (
    TURNS + OPEN
)
"""Gemma: refuses a system turn."""
DROPS_SYSTEM = (
    "<s>{% for m in messages %}{% if m['role'] != 'system' %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endif %}"
    "{% endfor %}" + OPEN
)
"""Leaves the system's turn out without a word."""
TRIMS = "<s>{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] | trim }}<|end|>{% endfor %}" + OPEN
ESCAPES = "<s>{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] | tojson }}<|end|>{% endfor %}" + OPEN

ALL = {
    name: value
    for name, value in list(globals().items())
    if name.isupper() and name not in ("OPEN", "TURNS", "ALL", "DEAF", "ALWAYS")
}
"""Those that can be asked, and make no warning."""
