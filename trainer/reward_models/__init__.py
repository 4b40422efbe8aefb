"""Learned rewards: preference data, reward models, their fit and what they are worth."""
