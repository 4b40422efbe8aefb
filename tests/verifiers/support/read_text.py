"""What the reading half makes of a text, for tests that look at values."""

from palaestra.verifiers.math.pipeline import value_of
from palaestra.verifiers.math.reading.text import normalise
from palaestra.verifiers.math.values import Value


def read_text(text: str) -> Value:
    """The value that a reference or an answer is read as; `Words` for what is no mathematics."""
    return value_of(normalise(text))
