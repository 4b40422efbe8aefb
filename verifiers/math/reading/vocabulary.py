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
    for name in str.split(
        "sin cos tan cot sec csc sinh cosh tanh coth sech csch exp ln log abs floor ceil gcd lcm max min"
    )
} | {
    **{
        "arc" + name: "a" + name
        for name in ["sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh"]
    },
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
    str.split(
        "Pr det deg dim ker Re Im tr arg hom Var Cov Corr rank ord erf erfc Li Ei Si Ci adj sign Res vol "
        "per card"
    )
)  # not evaluated: equal where their arguments are
DAGGERS = {"*": "*", "ast": "*", "star": "*", "dagger": "dagger", "dag": "dagger"}
INVERSE = {name: "a" + name for name in ["sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh"]}
RELATIONS = {
    "=": "=", "==": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "<>": "!=", "le": "<=",
    "leq": "<=", "leqslant": "<=", "leqq": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=", "geqq": ">=",
    "lt": "<", "gt": ">", "ne": "!=", "neq": "!=", "equiv": "==", "in": "in", "approx": "~", "simeq": "~",
    "sim": "~", "cong": "~", "doteq": "~", "approxeq": "~", "thickapprox": "~", "asymp": "~", "coloneqq": "=",
    "to": "->",
}  # fmt: skip
SETS = {"R": "reals", "Z": "integers", "N": "naturals", "Q": "rationals", "C": "complexes"}
MULTIPLIERS = {
    "hundred": 100,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
}
MULTIPLIERS |= {"quadrillion": 10**15, "lakh": 10**5, "crore": 10**7}
MULTIPLIERS |= {f"{name}s": value for name, value in MULTIPLIERS.items()}
NUMBER_WORDS = {
    name: value
    for value, name in enumerate(
        str.split(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
            "sixteen seventeen eighteen nineteen"
        )
    )
} | {
    name: 10 * value
    for value, name in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred"], 2
    )
}
ORDINALS = {
    name: value
    for value, name in enumerate(
        str.split("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"), 1
    )
}
PARTS = {name: value for name, value in ORDINALS.items() if value > 2} | {"half": 2, "halve": 2, "quarter": 4}
COUNTED_PARTS = {  # behind digits: 2 thirds, 5 hundredths
    **{name: size for part, size in PARTS.items() for name in (part, f"{part}s")},
    **{f"{name}th{s}": size for name, size in NUMBER_WORDS.items() if 13 <= size <= 19 for s in ("", "s")},
    **{
        f"{name[:-1]}ieth{s}": size
        for name, size in NUMBER_WORDS.items()
        if name.endswith("ty")
        for s in ("", "s")
    },
    **{
        f"{name}th{s}": MULTIPLIERS[name]
        for name in str.split("hundred thousand million billion trillion")
        for s in ("", "s")
    },
}
# Words that change the number before them, or say something about it, so that none is a noun that is counted.
_NUMERAL_WORDS = {
    *MULTIPLIERS,
    *NUMBER_WORDS,
    *ORDINALS,
    *COUNTED_PARTS,
    *str.split("tens twos threes fours fives tenfold"),
}
NOT_COUNTED = frozenset(_NUMERAL_WORDS) | frozenset(
    str.split(
        "and or to not no is are the than equals equal more less about of from only if mod modulo in plus "
        "minus times over else by choose with for percent percents percentage percentages permille permil "
        "permyriad ppm ppb degree degrees deg pct bps but either neither nor both maybe perhaps possibly "
        "where when per pm am PM AM i e pi below above under beneath beyond exceeding until except without "
        "excluding short off away squared cubed factorial factorials fold twofold threefold fourfold "
        "fivefold hundredfold thousandfold doubled tripled quadrupled halved twice thrice once squaring "
        "cubing inverted negated repeating recurring repeated periodic infinity infinite undefined unknown "
        "imaginary dozenth score gross hexadecimal octal binary ternary hex radix percentile minimally"
    )
)
# Words that do so as the last one alone: `5 negative`, but `5 negative integers`.
NOT_LAST = frozenset(
    str.split(
        "negative positive double triple quadruple doubles triples inverse reciprocal reciprocals complex "
        "opposite conjugate larger bigger greater higher smaller lower fewer least most minimum maximum min "
        "max wrong incorrect false impossible decimal log whole imag real too never"
    )
)
MATRICES = {"pmatrix", "bmatrix", "matrix", "array", "smallmatrix", "Bmatrix", "psmallmatrix", "bsmallmatrix"}
SYSTEMS = {"cases", "dcases", "rcases", "aligned", "align", "alignedat", "gathered", "gather", "split"}
SUM_ENDS = {")", "]", "\\}", "}", ",", ";", "|", "&", "\\\\", ":", "["}
SET_CALLS = {
    "cup": "union",
    "U": "union",
    "cap": "intersection",
    "setminus": "difference",
    "backslash": "difference",
}
FRACTIONS = {"frac", "dfrac", "tfrac", "cfrac", "sfrac", "nicefrac"}
CONSTANTS = {"pi": "pi", "infty": "infinity", "infin": "infinity", "imath": "i"}
WORD_CONSTANTS = {
    "pi": "pi",
    "infinity": "infinity",
    "inf": "infinity",
    "oo": "infinity",
    "Infinity": "infinity",
}
NO_PRODUCTS = frozenset(
    str.split("the and not is are for with of by no yes on any all none true each cost int eval None True")
)
ACCENTS = frozenset(
    str.split(
        "overline bar vec hat tilde overrightarrow dot ddot dddot widehat widetilde check breve mathring "
        "overleftarrow acute grave"
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
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "twelve": 12, "sixteen": 16,
}  # fmt: skip
