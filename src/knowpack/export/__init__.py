"""Adapters as other engines read them: LoRA and merged weights in GGUF, safetensors, Ollama; compared with peft."""
