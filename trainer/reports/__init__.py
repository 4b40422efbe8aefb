"""What a run shows: progress, loggers, curves."""
