"""knowpack: teach a language model new facts with a LoRA adapter, and know exactly what it cost."""
