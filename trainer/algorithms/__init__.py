"""Algorithms: how scored completions are credited, and the update that follows."""
