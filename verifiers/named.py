"""The criteria by name, `palaestra.criteria`: what a rubric is made of, whichever file it lives in.

>>> import palaestra as pal
>>> rubric = pal.Rubric(pal.criteria.number(), pal.criteria.answer_tag(weight=0.1))
>>> print(rubric.describe())
number: 0.909 of the reward, decides `passed`
answer_tag: 0.0909 of the reward
>>> rubric.score(pal.Completion("7 * 6 is <answer>42</answer>"), pal.Problem("What is 7 * 6?", "42")).reward
1.0
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .criteria.answer import answer_criterion as answer
from .criteria.choice import choice
from .criteria.format import answer_box, answer_tag, pattern
from .criteria.length import length
from .criteria.number import exact, number
from .criteria.reached import reached
from .criteria.turn_rewards import turn_rewards
from .functions import first_of, function
from .math import math_answer as math

if TYPE_CHECKING:
    from .criteria.checklist import checklist
    from .criteria.citations import citations
    from .criteria.code import code, one_block
    from .criteria.judge import judge
    from .criteria.language import language
    from .criteria.learned import learned
    from .criteria.literal import literal
    from .criteria.repetition import repetition
    from .criteria.sql import sql

__all__ = [
    "answer",
    "answer_box",
    "answer_tag",
    "checklist",
    "choice",
    "citations",
    "code",
    "exact",
    "first_of",
    "function",
    "judge",
    "language",
    "learned",
    "length",
    "literal",
    "math",
    "number",
    "one_block",
    "pattern",
    "reached",
    "repetition",
    "sql",
    "turn_rewards",
]

_AT_FIRST_USE = {
    "checklist": "checklist",
    "citations": "citations",
    "code": "code",
    "judge": "judge",
    "language": "language",
    "learned": "learned",
    "literal": "literal",
    "one_block": "code",
    "repetition": "repetition",
    "sql": "sql",
}  # name -> its module

if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in _AT_FIRST_USE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f".criteria.{_AT_FIRST_USE[name]}", __package__), name)
        globals()[name] = found
        return found

    def __dir__():
        return sorted(__all__)
