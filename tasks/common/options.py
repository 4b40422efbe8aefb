"""Questions of multiple choice, as the data sets ask them."""

from collections.abc import Sequence
from string import ascii_uppercase


def list_options(question: str, texts: Sequence[str], labels: Sequence[str] = ascii_uppercase) -> str:
    """The question, its options on a line each with their labels, and the wish for a label."""
    options = "\n".join(f"({label}) {text}" for label, text in zip(labels, texts, strict=False))
    return f"{question.strip()}\n{options}\nAnswer with the label of the right option."
