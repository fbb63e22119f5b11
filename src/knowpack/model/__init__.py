"""A model in memory: where it lies, how it is loaded, its chat template, an adapter in its weights.

load.py         ModelConfig -> Loaded; read this first
loaded.py       model and tokenizer, and the hash of the weights
locations.py    a name -> a folder or a hub's; hub_names.py: typos, said early; public_name.py: what others call it
gguf_files.py   GGUF files; converted.py, gguf_tokens.py: in transformers' layout
chat.py         turns as text, by the chat template; trial_rendering.py: tried in a process with limits
adapter.py      an adapter on disk, checked; doubts.py: what is said of it; live.py: compared with peft
merge.py        an adapter in the weights, and out again; aside.py: what the base had there, to be put back
generation.py   what a generation config asks for and is not done
machine.py      what a manifest says of model and machine; rounding.py: of two of them
memory.py       when it runs out; precision.py: what a CPU computes in; hash_cache.py: hashes, once a file
"""
