"""Stage 2: one normalisation pass. Unicode to LaTeX-like ASCII, math delimiters, styling and lead-ins away.

The result is still text; what carries meaning (percent, degree, currency, base, choice) stays in it as a mark
of its own and becomes a typed field when it is read.
"""

from __future__ import annotations

import re
import unicodedata

from ...quotations import undress

MAX_ANSWER_CHARS = 4_000

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUPERSCRIPT_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUBSCRIPT_RUN = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_MARKS = {
    **dict.fromkeys("−–—‒‐‑﹣", "-"),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u2061\u2062\u2063", ""),
    **dict.fromkeys("‘’′´`", "'"),
    **dict.fromkeys("“”″", '"'),
    "×": r"\times ",
    "✕": r"\times ",
    "÷": r"\div ",
    "·": r"\cdot ",
    "⋅": r"\cdot ",
    "∙": r"\cdot ",
    "•": r"\cdot ",
    "∗": "*",
    "⁄": "/",
    "∕": "/",
    "√": r"\sqrt ",
    "∛": r"\cbrt ",
    "∞": r"\infty ",
    "π": r"\pi ",
    "𝜋": r"\pi ",
    "≤": r"\le ",
    "≦": r"\le ",
    "⩽": r"\le ",
    "≥": r"\ge ",
    "≧": r"\ge ",
    "⩾": r"\ge ",
    "≠": r"\ne ",
    "≈": r"\approx ",
    **dict.fromkeys("≃≅∼≐≒", r"\approx "),
    "≡": r"\equiv ",
    "∪": r"\cup ",
    "∩": r"\cap ",
    "∈": r"\in ",
    "∅": r"\emptyset ",
    "⌀": r"\emptyset ",
    "°": r"^\circ ",
    "º": r"^\circ ",
    "±": r"\pm ",
    "∓": r"\mp ",
    "⟨": r"\langle ",
    "⟩": r"\rangle ",
    "〈": r"\langle ",
    "〉": r"\rangle ",
    "⌊": r"\lfloor ",
    "⌋": r"\rfloor ",
    "⌈": r"\lceil ",
    "⌉": r"\rceil ",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
    "ℚ": r"\mathbb{Q}",
    "ℕ": r"\mathbb{N}",
    "ℂ": r"\mathbb{C}",
    "∖": r"\setminus ",
    "∧": r"\land ",
    "∨": r"\lor ",
    "…": "...",
    "ℓ": "l",
    "ℏ": r"\hbar ",
    "Å": " angstrom ",
    "î": r"\hat{i}",
    "ĵ": r"\hat{j}",
    "，": ",",
    "∣": "|",
    "∠": r"\angle ",
    # Cyrillic and Greek letters that look like Latin ones
    **dict(zip("АВСЕНІЈКМОРЅТХаеорсухіј", "ABCEHIJKMOPSTXaeopcyxij", strict=True)),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True)),
}
_GREEK_LETTERS = {
    **dict(zip("αβγδεζηθκλμνξρσςτυφχψω", str.split(
        "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu "
        "xi rho sigma sigma tau upsilon phi chi psi omega"), strict=True)),
    **dict(zip("ΓΔΘΛΞΠΣΦΨΩϕϵ", str.split(
        "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega phi epsilon"), strict=True)),
}  # fmt: skip
_MARKS.update({letter: f"\\{name} " for letter, name in _GREEK_LETTERS.items()})
_TABLE = str.maketrans(_MARKS)

_STYLE = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal|up)?|math(?:rm|bf|it|sf|tt|normal|cal|frak)|mbox|hbox|operatorname\*?|bm|boldsymbol"
    r"|emph|underline|boxed|fbox|displaylines|ensuremath|color ?\{[a-z]{1,12}\})\s*\{((?:[^{}]++"
    r"|\{[^{}]*+\})*+)\}"
)
_DROPPED = re.compile(
    r"\\(?:left|right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|scriptstyle|limits|nolimits|hfill|qquad|quad|rm|bf|it|tt|sf|cal"
    r"|mathstrut|strut|nonumber|allowbreak)(?![A-Za-z])|\\(?:math(?:rm|bf|it|sf|tt|normal|cal|frak)|bm|boldsymbol)(?![A-Za-z])(?!\s*\{)"
    r"|(?<!\\)\\[;:!> ]|\\phantom\s*\{[^{}]*\}|\\hspace\*?\s*\{[^{}]*\}|\\@"
)
# a brace that \right. closes
_OPEN_SYSTEM = re.compile(r"\\left\s*\\\{\s*(?=\\begin\b)|\\(?:left|right)\s*\.(?!\d)")
_UNIT_VECTOR = re.compile(
    r"\\(?:mathbf|boldsymbol|bm|vec|hat|widehat|overrightarrow)\s*\{\s*"
    r"(?:\\(?:hat|widehat|mathbf|vec|bm)\s*\{\s*\\?([ijk])(?:math)?\s*\}|(?:\\hat\s*)?\\?([ijk])(?:math)?)\s*\}"
)
_BARE_BOLD = re.compile(r"\\(?:mathbf|boldsymbol|bm) ([A-Za-z])(?![A-Za-z])")
_THIN_SPACE = re.compile(r"(?<!\d)\\,|\\,(?!\d)")  # between digits it groups thousands
_NEGATIVE_SPACE = re.compile(r",\\!\s*(?=\d{3})|(?<=\d)\{,\}\\!(?=\d)")  # MATH groups thousands with it
_BRACED_SIGN = re.compile(r"(?<=\d)\{:\}(?=\d)")
_PARTS = {"half": " 1/2", "third": " 1/3", "quarter": " 1/4"}
_AND_A_PART = re.compile(r"(?<=\d) and (?:a|one) (half|third|quarter)\b")  # 2 and a half hours
_BLACKBOARD = re.compile(r"\\math(?:bb|scr|frak)\s*\{\s*([EPV])\s*\}(?=\s*(?:\\left)?\s*[\[(])")
_LEAD = re.compile(
    r"^(?:so|thus|therefore|hence|finally|in conclusion|consequently)(?: |, ?)(?=\S)"
    r"|^(?:then )?(?:the |my |our )?(?:final |correct )?"
    r"(?:answer|result|solution|value|option|choice)s?"
    r"(?: (?:is|are|would be|will be)\b|\s*[:=])\s*:?\s*"
    r"|^the (?:point|line|circle|interval|set|vector|equation|matrix|ordered pair|number) (?=[\\({[\d]"
    r"|[A-Za-z] ?=)"
    r"|^(?:the )?point (?=[A-Z] ?\()"
    r"|^(?:approximately|approx\.?|about|roughly)\s+|^(?:=|:|~|\\(?:approx|sim|simeq|cong|doteq)(?![a-z]))\s*",
    re.IGNORECASE,
)
_FUNCTIONS = {
    "tg": "tan",
    "ctg": "cot",
    "cotg": "cot",
    "sh": "sinh",
    "ch": "cosh",
    "th": "tanh",
    "cth": "coth",
}
_FUNCTION = re.compile(
    r"\\(?:operatorname\*?\s*\{\s*(tg|ctg|cotg|sh|ch|th|cth)\s*\}|(?:mathrm|text)\s*\{\s*(c?tg|cotg)\s*\}"
    r"|(tg|ctg|cotg|sh|ch|th|cth)(?![A-Za-z]))"
)
_RUPEES = re.compile(r"\bRs ?\.? ?(?=\d)")
# not of \\(, behind a row
_OUTER = ((r"\(", re.compile(r"(?<!\\)\\[()]")), (r"\[", re.compile(r"(?<!\\)\\[\[\]]")))


def normalise(text: str) -> str | None:
    """The answer's text in one spelling; None when it is longer than MAX_ANSWER_CHARS."""
    if len(text) > MAX_ANSWER_CHARS:
        return None
    text = undress(text)
    if not text.isascii():
        text = _fold_unicode(text)
    text = _undollar(text).strip()
    for opening, delimiters in _OUTER:
        if opening in text:
            text = delimiters.sub(" ", text)
    if "\\" in text:
        text = _unstyle(text)
    text = _respell(text)
    if "*" in text:
        text = text.strip("*") if text.startswith("**") and text.endswith("**") else text
    # single spaces, so that no expression below can try every way to part a run of them
    text = " ".join(text.split())
    if "Rs" in text:
        text = _RUPEES.sub("₹", text).removesuffix("/-")
    for _ in range(3):
        shorter = _LEAD.sub("", text, count=1)
        if shorter == text:
            break
        text = shorter.strip()
    return _untail(text)


def _respell(text: str) -> str:
    """Spellings of single signs and words."""
    if "{:}" in text:
        text = _BRACED_SIGN.sub(":", text)
    if "sq." in text:
        text = text.replace("sq.", "sq")
    if " and " in text:
        text = _AND_A_PART.sub(lambda match: _PARTS[match[1]], text)
    if " ~ " in text and "\\" not in text:
        text = text.replace(" ~ ", r" \approx ")
    if "+/-" in text or "-/+" in text:
        text = text.replace("+/-", r"\pm ").replace("-/+", r"\mp ")
    return text


def _fold_unicode(text: str) -> str:
    text = _VULGAR.sub(lambda match: _vulgar(match[0]), text)
    text = _SUPERSCRIPT_RUN.sub(lambda match: "^{" + match[0].translate(_SUPERSCRIPTS) + "}", text)
    text = _SUBSCRIPT_RUN.sub(lambda match: "_{" + match[0].translate(_SUBSCRIPTS) + "}", text)
    return unicodedata.normalize("NFKC", text.translate(_TABLE)).translate(_TABLE)


def _vulgar(character: str) -> str:
    above, _, below = unicodedata.normalize("NFKC", character).partition("⁄")
    return f" \\frac{{{above}}}{{{below}}}"


def _undollar(text: str) -> str:
    """Math delimiters away. An escaped dollar, or a single one before a digit, is a currency sign."""
    if "$" not in text:
        return text
    text = text.replace(r"\$", "\x01")
    if text.count("$") % 2 == 1 and re.search(r"(?<!\$)\$\s*[\d.]", text):
        return text.replace("$", "\x01")
    return text.replace("$", " ")


def _unstyle(text: str) -> str:
    if "!" in text:
        text = _NEGATIVE_SPACE.sub("{,}", text).replace("\\!", " ")
    if "g" in text or "h" in text:
        text = _FUNCTION.sub(lambda match: f"\\{_FUNCTIONS[match[1] or match[2] or match[3]]} ", text)
    if "\\math" in text:
        text = _BLACKBOARD.sub(r"\1", text)
    if "right" in text or "left" in text:
        text = _OPEN_SYSTEM.sub(" ", text)
    if "bf " in text or "bm " in text or "symbol " in text:
        text = _BARE_BOLD.sub(r"\\mathbf{\1}", text)
    if len(set(_UNIT_VECTOR.findall(text))) > 1:  # \mathbf{i} alone is the imaginary unit in bold
        text = _UNIT_VECTOR.sub(r"\\hat{\1\2}", text)
    for _ in range(6):  # styling may be nested a few deep
        plain = _STYLE.sub(r" \1 ", text)
        if plain == text:
            break
        text = plain
    return _THIN_SPACE.sub(" ", _DROPPED.sub(" ", text))


def _untail(text: str) -> str:
    """Without closing punctuation and without braces, or a box, around the whole."""
    end = len(text)
    while end and (text[end - 1] in ".;:,!?" or text[end - 1].isspace()) and not _closes(text, end):
        end -= 1
    text = text[:end]
    if text.startswith("\\boxed{") and text.endswith("}"):
        text = text[len("\\boxed{") : -1].strip()
    return text


def _closes(text: str, end: int) -> bool:
    """Whether the sign before `end` belongs to the answer: an ellipsis, a factorial."""
    if text.endswith("...", 0, end) or text.endswith("\\;", 0, end):
        return True
    return text[end - 1] == "!" and end > 1 and (text[end - 2].isalnum() or text[end - 2] in ")}!")
