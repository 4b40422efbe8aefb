"""Whether two mathematical answers are equal: typed values, exact arithmetic, and no evaluation of text."""

from .criterion import math_answer
from .equal import explain, math_equal
from .types import Explanation

__all__ = ["Explanation", "explain", "math_answer", "math_equal"]
