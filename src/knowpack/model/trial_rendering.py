"""A script of its own: renders turns by a chat template within limits of memory and time, and says whether they held.

stdin: JSON with template, chats (lists of messages), seconds, letters, bytes. Exit code 0: within the limits, or an
error that the rendering proper will meet too; 3: too much text or memory. No time limit of the parent's is needed but
for systems without `resource`. Jinja's own page on its sandbox: "limit CPU and memory by the operating system".
"""

import json
import sys
from typing import Any

from jinja2 import nodes
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

TOO_MUCH = 3
TOKENS = {"bos_token": "", "eos_token": ""}


class Generation(Extension):
    """{% generation %} of transformers: marks what the model says, and prints it."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        """The block's body as it is."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


def main() -> int:
    """Render all chats, each open and closed."""
    trial = json.load(sys.stdin)
    try:
        import resource
    except ImportError:  # not a Unix
        pass
    else:
        resource.setrlimit(resource.RLIMIT_AS, (trial["bytes"], trial["bytes"]))
        resource.setrlimit(resource.RLIMIT_CPU, (trial["seconds"], trial["seconds"]))
    try:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[Generation, LoopControlExtension]
        )
        environment.globals |= {"raise_exception": _raise, "strftime_now": str}
        template = environment.from_string(trial["template"])
        for chat in trial["chats"]:
            for is_open in (True, False):
                n = 0
                for piece in template.generate(messages=chat, add_generation_prompt=is_open, **TOKENS):
                    n += len(piece)
                    if n > trial["letters"]:
                        return TOO_MUCH
    except MemoryError:
        return TOO_MUCH
    except Exception:
        return 0
    return 0


def _raise(message: str) -> Any:
    raise ValueError(message)


if __name__ == "__main__":
    sys.exit(main())
