"""Completions from the very model that is trained: drawing, decoding, a fast path for dense decoders."""
