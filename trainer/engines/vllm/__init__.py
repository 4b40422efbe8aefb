"""Completions from a vLLM server in an environment of its own: its process, its wire, its weights."""
