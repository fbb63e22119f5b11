"""The lab: a generated world, a corpus about it, and a small Llama pretrained on it."""
