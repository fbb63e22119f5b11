"""What an adapter may have changed beside the probe's answers: further questions, likelihoods, unrelated text."""
