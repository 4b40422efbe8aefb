"""Rewards, verdicts and advantages of what was sampled already, under another rubric."""
