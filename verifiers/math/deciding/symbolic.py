"""Stage 7: what is still open goes to sympy, in a worker process with a memory limit and a deadline.

`decide` runs in the worker. It gets expression trees as nested lists, never text, and builds sympy objects by
a fixed table of constructors. `ask` runs in the caller, which never imports sympy.
"""

from __future__ import annotations

import os
from typing import Any

from ...workers.pool import Pool, PoolError
from ..traversal import children
from ..values import Call, Const, Expr, Num, Power, Product, Sum, Sym
from .compare import Decision

DEADLINE_S = 0.15
MEMORY_MB = 128
MAX_NODES = 60
MAX_DIGITS = 30
# starts when asked
POOL = Pool(f"{__name__}:decide", workers=max(1, min(4, (os.cpu_count() or 2) // 2)), memory_mb=MEMORY_MB)


def ask(decision: Decision) -> Decision:
    """The decision with sympy's word on its open pair. A pair that is large, or for which no worker could be
    started, counts as not shown equal: an answer alone can bring a check here, and must not abstain by it."""
    assert decision.open is not None
    a, b = decision.open
    if _size(a) + _size(b) > MAX_NODES:
        return Decision(False, "symbolic", "Not shown equal (too large for the symbolic engine).")
    try:
        reply = POOL.call([_encode(a), _encode(b)], DEADLINE_S)
    except PoolError as failure:
        return Decision(False, "symbolic", f"Not shown equal: {failure}")
    if reply.status == "timeout":
        return Decision(
            False,
            "symbolic",
            f"Not shown equal: the symbolic engine ran over {DEADLINE_S:g} s and was stopped.",
        )
    if reply.status == "ok" and reply.value is True:
        return Decision(True, "symbolic")
    return Decision(False, "symbolic", "Not shown equal." + (f" {reply.reason}" if reply.reason else ""))


def _size(expr: Expr) -> int:
    if isinstance(expr, Num):
        digits = (expr.value.numerator.bit_length() + expr.value.denominator.bit_length()) / 3.3
        return 1 if digits < MAX_DIGITS else MAX_NODES + 1
    return 1 + sum(map(_size, children(expr)))


def _encode(expr: Expr) -> list[Any]:
    match expr:
        case Num(value):
            return ["num", str(value.numerator), str(value.denominator)]
        case Sym(name):
            return ["sym", name]
        case Const(name):
            return ["const", name]
        case Call(name, args):
            return ["call", name, *map(_encode, args)]
        case Sum(terms):
            return ["sum", *map(_encode, terms)]
        case Product(factors):
            return ["product", *map(_encode, factors)]
        case Power(base, exponent):
            return ["power", _encode(base), _encode(exponent)]
    raise TypeError(f"{expr} is an unknown function, which should be a variable by now.")


def decide(pair: list[Any]) -> bool:
    """In the worker: whether the difference of two encoded expressions simplifies to zero."""
    import sympy

    names: dict[str, Any] = {}
    a, b = (_build(sympy, tree, names) for tree in pair)
    difference = a - b
    if difference == 0:
        return True
    for rewrite in (
        sympy.powsimp,
        sympy.simplify,
        lambda d: sympy.simplify(sympy.expand_func(d.rewrite(sympy.gamma))),
    ):
        if rewrite(difference) == 0:
            return True
    return False


def _build(sympy: Any, tree: list[Any], names: dict[str, Any]) -> Any:
    kind, *rest = tree
    if kind == "num":
        return sympy.Rational(int(rest[0]), int(rest[1]))
    if kind == "sym":
        return names.setdefault(rest[0], sympy.Symbol(f"v{len(names)}", real=True))
    if kind == "const":
        table = {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "degree": sympy.pi / 180, "infinity": sympy.oo}
        return table[rest[0]]
    if kind == "call":
        return _function(sympy, rest[0], [_build(sympy, arg, names) for arg in rest[1:]])
    parts = [_build(sympy, part, names) for part in rest]
    return {"sum": sympy.Add, "product": sympy.Mul, "power": sympy.Pow}[kind](*parts)


def _function(sympy: Any, name: str, args: list[Any]) -> Any:
    if name == "log_base":
        return sympy.log(args[1], args[0])
    if name == "log":
        return sympy.log(args[0], args[1] if len(args) > 1 else 10)
    special = {
        "ln": sympy.log,
        "abs": sympy.Abs,
        "ceil": sympy.ceiling,
        "max": sympy.Max,
        "min": sympy.Min,
        "sgn": sympy.sign,
        "root": sympy.real_root,
        "lcm": sympy.lcm,
        "gcd": sympy.gcd,
    }
    known = str.split(
        "sin cos tan cot sec csc sinh cosh tanh coth sech csch asin acos atan acot asec acsc asinh acosh "
        "atanh acoth exp floor factorial factorial2 binomial"
    )
    if name in special:
        return special[name](*args)
    if name in known:
        return getattr(sympy, name)(*args)
    raise ValueError(f"no function {name}")


__all__ = ["DEADLINE_S", "POOL", "ask", "decide"]
