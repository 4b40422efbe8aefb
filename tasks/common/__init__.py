"""What generated tasks share: how answers are read and judged, numbers, words, patterns."""
