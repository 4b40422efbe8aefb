"""Dense decoders of the Llama family, computed by our own code: decoding and the packed update."""
