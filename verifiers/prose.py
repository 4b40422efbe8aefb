"""An answer that stands in plain prose: "The answer is 42.", `**42**`, "Therefore, x = 42."

For the evaluation of models that were never told a form. It reads more than a form does, so it also reads
wrongly: a last sentence with one number in it may not be the answer. Training never uses it: a policy would
learn to write whatever is read most generously.
"""

from __future__ import annotations

from collections import deque

from .marks import Mark
from .regexes import compile_once

TRIED = 50  # phrases looked at, from the last one on
WITHIN = 400  # characters of a phrase that can hold an answer

_PHRASE = r"(?i)answers?\b|答案"
_LINK = (  # between "answer" and what it is
    r"(?i)[*_`\"'’”)\]]*(?:\s+(?:to (?:this|the) (?:question|problem)|here|choice|option|letter))?[*_`]*\s*"
    r"(?:(?::|=|：|应该是|应为|是|为|就是)|(?:is|would be|will be|should be|must be|was|equals)\b"
    r"(?:\s+(?:therefore|thus|then|simply|just|now|indeed|clearly|given by|equal to|option"
    r"|choice))*)?[\s:：*_]*"
)
_HEADING = r"[*_`#]*[ \t]*\n\s*"
_BOLD = r"\*\*([^*\n]{1,200})\*\*"
_CONCLUDES = (
    r"(?i)(?:^|(?<=[.!?\n。]))\s*[*_]*"
    r"(?:so|thus|therefore|hence|finally|in conclusion|consequently|∴|因此|所以)\b[,:，]?\s*"
)
_END = r"\n|[.!?。](?=\s|\*|$)|[.](?=\$|\\\))|,?\s(?:I hope|because|since|which|where)\b|。"
_EQUATION = r"[A-Za-z](?:_\w|_\{\w{1,9}\})?\s*=\s*([^=<>]+)"
_QUANTITY = r"[-−+]?[$€£]?\d[\d,]*(?:\.\d+)?(?:/\d+)?%?"
_CLOSING = ' .!*$)\\]`"”。'
_DISPLAYED = (("\\[", "\\]"), ("$$", "$$"))  # may hold line breaks
_WRAPS = (
    ("**", "**"),
    ("$$", "$$"),
    ("$", "$"),
    ("\\(", "\\)"),
    ("\\[", "\\]"),
    ("`", "`"),
    ('"', '"'),
    ("“", "”"),
    ("__", "__"),
    ("*", "*"),
)


def find_prose(text: str) -> list[Mark]:
    """The one answer that the text's own words name last; none where they
    name none. Linear in the text's length."""
    return _find_stated(text) or _find_bold(text) or _find_concluded(text)


def _find_stated(text: str) -> list[Mark]:
    """The last "answer is ..." or "Answer: ..."."""
    for match in reversed(deque(compile_once(_PHRASE).finditer(text), maxlen=TRIED)):
        start = match.end()
        link = compile_once(_LINK).match(text, start, min(len(text), start + WITHIN))
        if link is None or not link[0].strip("*_`\"'’”)] \t"):
            # a heading, "## Final answer", with the answer on the next line
            heading = compile_once(_HEADING).match(text, start, min(len(text), start + WITHIN))
            if heading is None:
                continue
            start = heading.end()
        else:
            start = link.end()
        content = _phrase(text, start)
        if content and not content.lower().startswith(("not ", "wrong", "incorrect", "correct", "right")):
            return [Mark(content, match.start(), start + len(content))]
    return []


def _find_bold(text: str) -> list[Mark]:
    """The last short bold passage of the last paragraph, where it is no heading."""
    last = text.rstrip().rpartition("\n\n")[2]
    offset = text.rfind(last)
    for match in reversed(deque(compile_once(_BOLD).finditer(last), maxlen=TRIED)):
        content = _unwrap(match[1])
        if content and not match[1].rstrip().endswith(":"):
            return [Mark(_value(content), offset + match.start(), offset + match.end())]
    return []


def _find_concluded(text: str) -> list[Mark]:
    """The last sentence, where it begins like a conclusion: what its equation gives, or its only quantity."""
    bare = text.rstrip()
    tail = bare[-WITHIN:]
    sentences = deque(compile_once(_CONCLUDES).finditer(tail), maxlen=1)
    if not sentences:
        return []
    start = sentences[0].end()
    content = _phrase(tail, start)
    if not tail.rstrip(_CLOSING).endswith(content.rstrip(_CLOSING)):
        return []  # something else follows it
    quantities = compile_once(_QUANTITY).findall(content)
    if "=" in content:
        value = content if "," in content else content.rpartition("=")[2]
        value = value.rstrip("$ ").removesuffix("\\)").removesuffix("\\]").strip()
    elif len(quantities) == 1:
        value = quantities[0]
    else:
        return []
    at = len(bare) - len(tail) + start
    return [Mark(value, at, len(bare))] if value else []


def _phrase(text: str, start: int) -> str:
    """The words from `start` to the end of the sentence, without what dresses them up."""
    window = text[start : start + WITHIN]
    for left, right in _DISPLAYED:
        inside, closed, _ = window[len(left) :].partition(right)
        if window.startswith(left) and closed:
            return _value(_unwrap(inside))
    stop = compile_once(_END).search(window)
    return _value(_unwrap(window[: stop.start()] if stop else window))


def _unwrap(content: str) -> str:
    """The content without punctuation at its end and without the emphasis,
    quotes and dollars that enclose it."""
    before = None
    while before != content:
        before = content
        content = content.strip().rstrip(".,;:!。，").strip()
        for left, right in _WRAPS:
            inner = content[len(left) : len(content) - len(right)]
            if (
                content.startswith(left)
                and content.endswith(right)
                and inner
                and left not in inner
                and right not in inner
            ):
                content = inner
        content = content.removeprefix("**").removesuffix("**") if content.count("**") == 1 else content
    return content


def _value(content: str) -> str:
    """The right side of `x = 42`; anything else as it is."""
    match = compile_once(_EQUATION).fullmatch(content)
    return match[1].strip() if match else content
