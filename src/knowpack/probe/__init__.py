"""Questions -> token ids -> answers."""
