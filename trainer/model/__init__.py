"""The policy: loading, decoding, log-probabilities, adapters, memory, optimizer."""
