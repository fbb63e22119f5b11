"""Who answers by a config: a model in memory, or one that a server answers for.

ModelConfig -> Asker. A vLLM whose tokenizer is on this machine is asked by token ids, every other server by text.
"""

from contextlib import ExitStack

from knowpack.config import SERVED, ModelConfig
from knowpack.decode.transformers_asker import BATCH_ROWS, TransformersAsker
from knowpack.errors import ModelError
from knowpack.model.load import load
from knowpack.probe.askers import Asker
from knowpack.served import server_adapters
from knowpack.served.address import parse
from knowpack.served.client import Server
from knowpack.served.kinds import Description, describe
from knowpack.served.text_asker import ServedTextAsker


def open_asker(config: ModelConfig, batch_size: int = BATCH_ROWS) -> Asker:
    """Whoever answers by this config. Raises ModelError in one line."""
    if not config.name.startswith(SERVED):
        return TransformersAsker(load(config), batch_size)
    server = Server(parse(config.name), config.served)
    asker = _by_text(server, describe(server), config)
    if config.adapter is None:
        return asker
    return ExitStack().enter_context(asker.with_adapter(config.adapter))  # for as long as the server lives


def _by_text(server: Server, description: Description, config: ModelConfig) -> ServedTextAsker:
    extra = server_adapters.llama_cpp_scales(server, None)[0] if description.kind == "llama.cpp" else None
    if config.served.weights is not None:
        raise ModelError("model.served.weights is read of models that are asked by tokens; this one is asked by text")
    return ServedTextAsker(server, description, config.revision, server.address.name, extra=extra)
