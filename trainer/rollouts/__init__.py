"""From problems to scored groups of completions."""
