"""Who answers by a config: a model in memory, or one that a server answers for.

ModelConfig -> Asker. A vLLM whose tokenizer is on this machine is asked by token ids, every other server by text.
"""

import warnings
from dataclasses import replace

from knowpack.config import SERVED, ModelConfig
from knowpack.decode.transformers_asker import BATCH_ROWS, TransformersAsker
from knowpack.errors import ModelError
from knowpack.model.load import load
from knowpack.probe.askers import Asker
from knowpack.served import server_adapters
from knowpack.served.address import parse
from knowpack.served.checks import check_base
from knowpack.served.client import Server
from knowpack.served.kinds import Description, describe
from knowpack.served.local_files import Local, find
from knowpack.served.text_asker import ServedTextAsker
from knowpack.served.token_asker import ServedTokenAsker


def open_asker(config: ModelConfig, batch_size: int = BATCH_ROWS) -> Asker:
    """Whoever answers by this config. Raises ModelError in one line."""
    if not config.name.startswith(SERVED):
        return TransformersAsker(load(config), batch_size)
    server = Server(parse(config.name), config.served)
    description = describe(server)
    local = _local(server, description, config)
    asker: ServedTokenAsker | ServedTextAsker
    if local is None:
        asker = _by_text(server, description, config)
    else:
        asker = ServedTokenAsker(server, description, local, config.revision, server.address.name)
        asker = replace(asker, checked=check_base(asker, local.loaded if local.has_weights else None))
    return asker if config.adapter is None else asker.for_good(config.adapter)


def _local(server: Server, description: Description, config: ModelConfig) -> Local | None:
    """The files that asking by token ids needs; None: the model is asked by text."""
    if config.served.by == "text":
        return None
    ids = description.kind == "vllm"
    local = find(config, description.root) if ids else None
    if config.served.by == "tokens":
        if not ids:
            raise ModelError(
                f"the server at {server.address.url} does not say that it is vLLM, which alone is asked by token ids; "
                "leave out model.served.by=tokens"
            )
        if local is None:
            raise ModelError(_NO_TOKENIZER.format(name=server.address.name))
    elif ids and local is None:
        warnings.warn(_NO_TOKENIZER.format(name=server.address.name) + "; it is asked by text", stacklevel=3)
    return local


_NO_TOKENIZER = "the tokenizer of {name} is not on this machine; name its folder or hub name with model.served.weights"


def _by_text(server: Server, description: Description, config: ModelConfig) -> ServedTextAsker:
    extra = server_adapters.all_off_in_llama_cpp(server) if description.kind == "llama.cpp" else None
    if config.served.weights is not None:
        raise ModelError("model.served.weights is read of models that are asked by tokens; this one is asked by text")
    return ServedTextAsker(server, description, config.revision, server.address.name, extra=extra)
