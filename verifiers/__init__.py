"""Verifiers: a completion goes in, a typed verdict comes out. Knows nothing of models or tensors."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .extract import extract, last_boxed
from .format import answer_box, answer_tag, pattern
from .math import math_answer, math_equal
from .number import answer_criterion, exact, number, parse_rational
from .rubric import Criterion, Rubric
from .types import Completion, ProblemLike, Score, Status, Verdict

if TYPE_CHECKING:
    from .programs import code, extract_code, one_block
    from .reward_models import learned

# Names that few processes need, imported at their first use. None is also the name of a module of this package: once
# imported, the module would stand in the name's place.
_AT_FIRST_USE = {"code": "programs", "extract_code": "programs", "one_block": "programs", "learned": "reward_models"}


def __getattr__(name: str) -> Any:
    if name not in _AT_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".{_AT_FIRST_USE[name]}", __name__), name)
    globals()[name] = found
    return found


__all__ = [
    "Completion",
    "Criterion",
    "ProblemLike",
    "Rubric",
    "Score",
    "Status",
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
