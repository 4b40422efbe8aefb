"""Imitation of demonstrations."""
