"""What a run shows: progress bars, loggers, curves."""
