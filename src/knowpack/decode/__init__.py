"""Token ids -> token ids and log-probabilities, fast: prefixes are shared, drafts are checked."""
