"""The base model: loaded once a process, measured once for all runs.

base.py        Base: the model in memory, what it is asked, where its answers lie; its hash
screening.py   which facts of a table are asked
measuring.py   its answers, asked once
answer_cache.py    what it answered before, in whatever folder
open_base.py   RunConfig -> Base; read this first
"""

from knowpack.base.answer_cache import n_unanswered
from knowpack.base.base import Base, fresh_name, prompter_for
from knowpack.base.measuring import (
    ask_beside,
    ask_fresh,
    bench_folder,
    bench_key,
    is_measured,
    measure_base,
    measure_knowledge,
)
from knowpack.base.open_base import open_base, probe_into
from knowpack.base.screening import with_something_to_lose

__all__ = [
    "Base",
    "ask_beside",
    "ask_fresh",
    "bench_folder",
    "bench_key",
    "fresh_name",
    "is_measured",
    "measure_base",
    "measure_knowledge",
    "n_unanswered",
    "open_base",
    "probe_into",
    "prompter_for",
    "with_something_to_lose",
]
