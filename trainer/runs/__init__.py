"""A training run: set up, preflight, the loop, its metrics and guards; resumed and replayed."""
