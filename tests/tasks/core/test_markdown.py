"""Texts of others stay texts in Markdown."""

from palaestra.tasks.core.markdown import escape, fence


def test_marks_are_escaped_and_fences_hold():
    assert escape("a *b*\n| <c>") == "a \\*b\\* \\| \\<c\\>"
    assert fence("x", "python") == "```python\nx\n```"
    assert fence("a ```` b").startswith("`````\n")
