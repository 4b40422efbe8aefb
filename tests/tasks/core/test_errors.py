"""Texts quoted in sentences."""

import pytest
from palaestra.tasks.core.errors import shorten


@pytest.mark.parametrize(
    ("text", "most", "quoted"),
    [
        ("A reason.", 300, "A reason"),
        ("on\n two\tlines", 300, "on two lines"),
        ("to avoid comparing", 17, "to avoid ..."),
        ("to avoid comparing", 18, "to avoid comparing"),
        ("a" * 30, 10, "aaaaaa ..."),
        ("...", 10, ""),
        ("", 10, ""),
    ],
)
def test_a_quoted_text_is_cut_between_words(text: str, most: int, quoted: str):
    assert shorten(text, most) == quoted
