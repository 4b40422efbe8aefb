"""The policy: loading, log-probabilities, memory, optimizer."""
