# ruff: noqa: E501
"""Texts that were made to break a reader, for every criterion alike. Seeded:
a text that fails can be made again."""

import random
from collections.abc import Iterator, Sequence

PIECES = [
    "<answer>", "</answer>", "<ANSWER>", "`<answer>`", '"<answer>"', "<answer> tag ", "<answer></answer>", "<think>",
    "</think>",
    "\\boxed{", "\\boxed", "\\boxed 5 ", "\\boxed{}", "\\fbox{", "{", "}", "{a}", "{{a}", "####", "####\n", "#### 5\n",
    "```\n", "```python\n", "~~~\n", "    ```\n", "~", "`", "`a`", "``", "> \n", "- \n", "1. \n", "\n", "\r\n", " ", "\t",
    "\u2028",
    ". ", "…", "\\dots", ",", "1,", "9", "0.", "1/", "-", "- ", "+ ", "(", "[", "[1,", "'", "'a' ", '"', "\\", "\\(", "$", "^",
    "_", "\\frac", "\\sqrt{", "\\left(", "\\sum", "\\gcd ", "\\begin{cases}", "x^", "x_", "\\pm", "=", "\\ne ", "!", "10^",
    "e", "True,", "None", "1e", "0x", "not ", "lambda:", "def f\n", "async ", "def ", "class ", "U", "R D ", "* ", "4*", "wait no ",
    "no, ", "so,", "that's ", "ok. ", "scratch that. ", "answer ", "answer is", "答案", "**a**", "So x=1. ",
    "é", "９", "²", "\u0661", "\u200b", "\u202e", "\ufeff", "\ud800", "\udfff", "\0", "\x1b[31m", "\U0001f600", "ﬁ",
]  # fmt: skip
FRAMES = [
    ("", ""), ("<answer>", "</answer>"), ("\\boxed{", "}"), ("#### ", ""), ("```python\n", "\n```"), ("<think>a</think>", ""),
    ("<answer>", "5</answer>"), ("\\boxed{", "5}"), ("~~~", "`"), ("```\n<answer>1</answer> \\boxed{2} > ` ", ""),
]  # fmt: skip
MANY = [
    "`a`", "- \n", "~~~\n", "\\(", "\\boxed", "{{a}", "> \n", "\n", " ", "<answer>", "\\boxed{", "####\n", ". ", "~", "answer is", "1,", "é",
]  # pieces of which a long text holds most of what some reader looks at  # fmt: skip
WHOLE = [
    "9" * 5_000, "-" + "9" * 5_000, "1/" + "9" * 5_000, "0." + "9" * 5_000, "9" * 4_301, "1e999999999", "9**9**9**9", "0x" + "f" * 5_000,
    "[" * 2_000, "[" * 49 + "]" * 49, "(" * 100 + "1" + ")" * 100, "{" * 300, "-" * 5_000 + "1", "'a'," + "-" * 5_000 + "1",
    "not " * 2_000 + "1", "'a' if 'a' else " * 900 + "1", "{[]}", "{{}: 1}", "'\ud800'", "'\\ud800'", "b'\\xff'", "1_0", "nan", "inf", "1j",
    "1 if 1 else 2", "__import__('os').abort()", "\\gcd x", "x \\ne \\pm 5", "\\frac{1}{0}", "0^0", "10^{10^{10}}", "(10!)!!",
    "\\sqrt[0]{5}", "\\log_1 5", "x" * 3_900, "\\sqrt{" * 400, "^" * 3_000, "1" + "+1" * 1_500, "1,2" * 1_000, "1/0", "(1-1)/(1-1)",
]  # fmt: skip


def texts(seed: int, count: int, right: str) -> Iterator[str]:
    """Whole hostile answers in every frame, then soups of pieces and mutations of a right completion."""
    for answer in WHOLE:
        for left, close in FRAMES:
            yield left + answer + close
    rng = random.Random(seed)
    for _ in range(count):
        kind = rng.randrange(4)
        if kind == 0:
            soup = "".join(rng.choices(PIECES, k=rng.randint(1, 30)))
        elif kind == 1:
            soup = "".join(
                chr(rng.choice((rng.randrange(128), rng.randrange(0x3000), rng.randrange(0x110000))))
                for _ in range(40)
            )
        elif kind == 2:
            soup = mutated(right, rng)
        else:
            soup = rng.choice(PIECES) * rng.randint(1, 3_000)
        left, close = rng.choice(FRAMES)
        yield soup if kind == 2 else left + soup + close


def mutated(text: str, rng: random.Random) -> str:
    """One to four edits: a piece put in, a stretch cut, doubled or moved."""
    for _ in range(rng.randint(1, 4)):
        start, end = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        text = rng.choice((
            text[:start] + rng.choice(PIECES) + text[start:],
            text[:start] + text[end:],
            text[:end] + text[start:],
            text[end:] + text[start:end] + text[:start],
        ))  # fmt: skip
    return text


def long_texts(piece: str, characters: int, frames: Sequence[tuple[str, str]] = FRAMES) -> list[str]:
    """The piece over and over in every frame, each text about `characters` long."""
    return [left + piece * ((characters - 80) // len(piece)) + close for left, close in frames]
