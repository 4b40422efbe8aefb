"""Other ways to write an answer that mean the same, and that the criteria of this package promise to read.

Each function takes an answer as it stands in its mark and yields others. None is looked at by a check:
`palaestra task check` feeds them to it, and counts those that it turns down.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .rationals import parse_rational


def rewrite_number(answer: str) -> Iterator[str]:
    """Signs, zeros, separators of thousands, equal fractions and decimals, quotes around the whole."""
    value = parse_rational(answer)
    if value is None:
        return
    if value > 0 and not answer.startswith("+"):
        yield f"+{answer}"
    if value.denominator == 1:
        yield f"{value}.0"
        yield f"{value}.000"
        if abs(value) >= 1_000:
            yield f"{int(value):,}"
    if abs(value.numerator) < 10**12 and value.denominator < 10**12:
        yield f"{2 * value.numerator}/{2 * value.denominator}"
        yield f"{7 * value.numerator}/{7 * value.denominator}"
    yield f'"{answer}"'
    yield f"`{answer}`"


def rewrite_math(answer: str) -> Iterator[str]:
    """Dollar signs, display fractions, blanks; of a number what a number has."""
    yield f"${answer}$"
    yield f"\\({answer}\\)"
    if "\\frac" in answer:
        yield answer.replace("\\frac", "\\dfrac")
    value = parse_rational(answer)
    if value is None:
        return
    if value.denominator == 1:
        yield f"{value}.0"
        yield f"\\frac{{{2 * value}}}{{2}}"
        if abs(value) >= 1_000:
            yield f"{int(value):,}"
    else:
        sign, size = "-" if value < 0 else "", abs(value)
        yield f"{sign}\\frac{{{size.numerator}}}{{{size.denominator}}}"
        yield f"{sign}\\frac{{{3 * size.numerator}}}{{{3 * size.denominator}}}"


def rewrite_text(answer: str) -> Iterator[str]:
    """White space between words."""
    words = answer.split()
    if len(words) > 1:
        yield "  ".join(words)
        yield "\n".join(words)


def rewrite_literal(answer: str) -> Iterator[str]:
    """Blanks, the other quotes, brackets around the whole."""
    try:
        value = ast.literal_eval(answer)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return
    yield repr(value)
    yield f"({answer})"
    if isinstance(value, list | tuple) and len(value) > 1:
        opening, closing = ("[", "]") if isinstance(value, list) else ("(", ")")
        yield f"{opening} {' , '.join(map(repr, value))} {closing}"
        yield f"{opening}\n    {f',{chr(10)}    '.join(map(repr, value))},\n{closing}"


def rewrite_choice(answer: str) -> Iterator[str]:
    """The ways to name an option by its letter."""
    if len(answer) == 1 and answer.isalpha():
        yield from (f"({answer})", f"{answer}.", f"{answer})", f"Answer: {answer}", f"**{answer}**")


def rewrite_program(source: str) -> Iterator[str]:
    """Comments, blank lines, another layout, a helper that nothing calls."""
    yield f"# A first line that says nothing.\n{source}\n"
    yield f"{source}\n\n\n# The end."
    yield f"def never_called_by_anybody():\n    return None\n\n\n{source}"
    try:
        yield ast.unparse(ast.parse(source))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return
