"""Models that a server answers for: `served:http://host:port/v1#NAME`. No engine of ours: those that there are, asked.

opening.py           ModelConfig -> whoever answers; read this first
address.py           the name -> url and model
client.py            requests, many at once: limits, retries, one clear line; answer_journal.py: what was answered, kept
kinds.py             what a server says of itself and of a model
text_asker.py        chat messages in, text out: any API
token_asker.py       ids in, ids and log-probabilities out: vLLM
local_files.py       the files of a served model that are here; checks.py: is it the same model, is an adapter live
server_adapters.py   adapters on a server
"""
