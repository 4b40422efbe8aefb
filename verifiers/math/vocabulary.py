"""The names that the parser knows: functions, constants, relations, LaTeX commands."""

from __future__ import annotations

GREEK = frozenset(
    str.split(
        "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho "
        "sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi "
        "Omega ell hbar partial nabla"
    )
)
FUNCTIONS = {
    name: name
    for name in str.split("sin cos tan cot sec csc sinh cosh tanh coth sech csch exp ln log abs floor ceil gcd lcm max min")
} | {
    **{"arc" + name: "a" + name for name in ["sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh"]},
    **{"a" + name: "a" + name for name in ["sin", "cos", "tan", "sinh", "cosh", "tanh"]},
    **{"ar" + name: "a" + name for name in ["sinh", "cosh", "tanh"]},
    **{"arctg": "atan", "arcctg": "acot", "arccotg": "acot", "ctg": "cot", "cotg": "cot"},
    **{"arcsh": "asinh", "arsh": "asinh", "arcch": "acosh", "arcth": "atanh", "arth": "atanh"},
    "lg": "lg",
    "cosec": "csc",
    "sgn": "sgn",
    "ceiling": "ceil",
    "cis": "cis",
}
NAMED_FUNCTIONS = frozenset(
    str.split("Pr det deg dim ker Re Im tr arg hom Var Cov Corr rank ord erf erfc Li Ei Si Ci adj sign Res vol per card")
)  # not evaluated: equal where their arguments are
DAGGERS = {"*": "*", "ast": "*", "star": "*", "dagger": "dagger", "dag": "dagger"}
INVERSE = {name: "a" + name for name in ["sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh"]}
RELATIONS = {
    "=": "=", "==": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "<>": "!=", "le": "<=", "leq": "<=",
    "leqslant": "<=", "leqq": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=", "geqq": ">=", "lt": "<", "gt": ">",
    "ne": "!=", "neq": "!=", "equiv": "==", "in": "in", "approx": "~", "simeq": "~", "sim": "~",
    "cong": "~", "doteq": "~", "approxeq": "~", "thickapprox": "~", "asymp": "~", "coloneqq": "=", "to": "->",
}  # fmt: skip
SETS = {"R": "reals", "Z": "integers", "N": "naturals", "Q": "rationals", "C": "complexes"}
MULTIPLIERS = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
MATRICES = {"pmatrix", "bmatrix", "matrix", "array", "smallmatrix", "Bmatrix", "psmallmatrix", "bsmallmatrix"}
SYSTEMS = {"cases", "dcases", "rcases", "aligned", "align", "alignedat", "gathered", "gather", "split"}
SUM_ENDS = {")", "]", "\\}", "}", ",", ";", "|", "&", "\\\\", ":", "["}
SET_CALLS = {"cup": "union", "U": "union", "cap": "intersection", "setminus": "difference", "backslash": "difference"}
FRACTIONS = {"frac", "dfrac", "tfrac", "cfrac", "sfrac", "nicefrac"}
CONSTANTS = {"pi": "pi", "infty": "infinity", "infin": "infinity", "imath": "i"}
WORD_CONSTANTS = {"pi": "pi", "infinity": "infinity", "inf": "infinity", "oo": "infinity", "Infinity": "infinity"}
NO_PRODUCTS = frozenset(str.split("the and not is are for with of by no yes on any all none true each cost int eval None True"))
ACCENTS = frozenset(
    str.split(
        "overline bar vec hat tilde overrightarrow dot ddot dddot widehat widetilde check breve mathring overleftarrow "
        "acute grave"
    )
)
FACTOR_COMMANDS = (
    FRACTIONS
    | set(CONSTANTS)
    | ACCENTS
    | NAMED_FUNCTIONS
    | {"sqrt", "cbrt", "binom", "dbinom", "tbinom", "lfloor", "lceil", "lvert", "vert", "begin", "langle"}
)
BASE_WORDS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12,
    "sixteen": 16,
}  # fmt: skip
