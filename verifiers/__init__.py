"""Verifiers: a completion goes in, a typed verdict comes out. Knows nothing of models or tensors."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .criteria.answer import answer_criterion
from .criteria.format import answer_box, answer_tag, pattern
from .criteria.number import exact, number
from .criterion import Criterion
from .extract import extract, last_boxed
from .math import math_answer, math_equal
from .rationals import parse_rational
from .rubric import Rubric
from .types import Completion, ProblemLike, Score, Status, Turn, Verdict

if TYPE_CHECKING:
    from .criteria.code import code, extract_code, one_block
    from .criteria.learned import learned

# Names that few processes need, imported at their first use, each with its module in `criteria`. None is also
# the name of a module of this package: once imported, the module would stand in the name's place.
_AT_FIRST_USE = {"code": "code", "extract_code": "code", "one_block": "code", "learned": "learned"}


def __getattr__(name: str) -> Any:
    if name not in _AT_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".criteria.{_AT_FIRST_USE[name]}", __name__), name)
    globals()[name] = value
    return value


__all__ = [
    "Completion",
    "Criterion",
    "ProblemLike",
    "Rubric",
    "Score",
    "Status",
    "Turn",
    "Verdict",
    "answer_box",
    "answer_criterion",
    "answer_tag",
    "code",
    "exact",
    "extract",
    "extract_code",
    "last_boxed",
    "learned",
    "math_answer",
    "math_equal",
    "number",
    "one_block",
    "parse_rational",
    "pattern",
]
