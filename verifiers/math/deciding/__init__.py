"""Two typed values become a decision: equal, different, or not shown equal.
Knows no text and imports nothing of `reading`."""
