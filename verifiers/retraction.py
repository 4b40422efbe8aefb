"""Whether the words after a marked answer take it back. Checking an answer is no retraction;
saying that it is wrong is.

`\\boxed{42}. Wait, let me double check that. 6*7=42, good.` stands; `\\boxed{42}. No wait, that's wrong.`
does not, and `\\boxed{42}. Hmm, that's wrong. No, actually 42 is right.` stands again. Only the WITHIN
characters after the mark are read, a sentence at a time, so that the work for all
marks together is linear in the text's length.
"""

from __future__ import annotations

from itertools import islice

from .regexes import compile_once

WITHIN = 400  # characters after a mark in which a retraction is about it
SHORTEST = 4  # characters of a retraction
MAX_CLAUSES = 5  # of a sentence that are looked at

_SENTENCE = r"(?:[^.!?;\n]|\.(?=\d))+[.!?;\n]*"
_LEAD = (  # what a sentence may begin with before it says that something is wrong
    r"(?:(?:wait|no|nope|oh|ah|hmm+|hm|actually|sorry|but|and|so|well|oops|hold on|now|however"
    r"|unfortunately|clearly|also"
    r"|i (?:think|see|realize|realise|believe|notice)(?: now)?(?: that)?|on reflection|on second thought"
    r"|looking back|again)"
    r"[\s,:*—–-]*)*"
)
_IT = (
    # of one before this
    r"(?!(?:my|the) (?:previous|first|earlier|initial|original) (?:answer|result|value) was\b)"
    r"(?:that|this|it|the above|(?:my|the|this|that)(?: (?:previous|above|first|last|final|boxed|earlier"
    r"|initial|original))*"
    r" (?:answer|result|value|calculation|computation|solution))"
)
_WRONG = (
    r"(?:wrong|incorrect|false|mistaken|invalid|not (?:right(?!-)|correct|true|valid|the answer)"
    r"|(?:a mistake|an error)\b(?! (?:bound|term|bar|estimate|margin|of|rate|function|analysis)))"
)
_ABOUT_ELSE = r"(?! (?:that|to|for|(?:only )?(?:if|when|unless))\b)"  # "it is not true that 43 works"
_IS = r"(?:'s| (?:is|was|must be|seems|looks|has to be))"
_DOUBTS = (
    r"\bi(?: do not|'m not| don't) (?:think|believe|sure) (?:that )?"
    r"(?:this|that|it|my answer)(?:'s| is| was) (?:right|correct)"
)
_ALWAYS = (
    rf"{_DOUBTS}"
    r"|(?<!we )(?<!can )(?<!may )(?<!must )(?<!should )(?<!to )(?<!and )(?<!then )(?<!n't )(?<!not )"
    r"\b(?:scratch|strike|ignore|disregard|forget|discard)"
    r" (?:that|this|it\b|the above(?! [a-z])|(?:my|the) (?:\w+ )?answer|what i)"
    r"|\bnever ?mind\b(?! the)|\bi (?:take (?:that|it|this|my answer) back|take back|retract|withdraw)\b"
    r"|\bi(?:'ve| have)? (?:made|see|found|spotted|notice|noticed)(?: that i made)? (?:a|an|my|another)"
    r"(?: [a-z]+){0,2} (?:mistake|error)\b"
    r"|\bmy (?:mistake|bad)\b|\bi (?:was|am) (?:wrong|mistaken)\b(?! (?:earlier|before|at first|initially"
    r"|previously))"
    r"|\bi'm (?:wrong|mistaken)\b|\bi got (?:that|it|this) wrong\b"
    r"|\bi mis(?:calculated|read|counted|computed|wrote|stated|typed|spoke|took|understood)\b|\boops\b"
    r"|\bi(?:'ve| have)? changed? my mind\b"
    r"|\bthere(?:'s| is| was) an? (?:[a-z]+ )?(?:mistake|error) in (?:the above|my|that|this)\b"
    r"|\blet me (?:correct|fix) (?:that|this|it|myself|my)\b|\bi (?:need|have) to correct (?:that|this|it"
    r"|myself|my)\b"
)
_OPENING = (  # counts only where a sentence begins with it
    rf"(?:correction\b(?= ?[:,—–-])|{_LEAD}{_IT}(?:{_IS}(?: [a-z]+ly| all| still| just)* {_WRONG}"
    r"| (?:isn't|wasn't|is not|was not|can't be|cannot be) (?:[a-z]+ly )?(?:right(?!-)|correct|true|valid"
    r"|the answer))"
    rf"{_ABOUT_ELSE}"
    rf"|{_LEAD}not (?:correct|right)\b(?!-))"
)
_DENIAL = (
    r"(?:(?:wait|actually|oh|hmm+|hm|sorry|but|hold on)[\s,.—–-]*)+no\b(?=\s*(?:[,.;!?—–-]|$|wait|that|it))"
    r"|(?:(?:oh|hmm+|but|ah)[\s,]*)*no[\s,.—–-]*(?:wait|actually|sorry)\b"
)
_CORRECTED = (
    r"(?:actually|sorry|rather|i mean|i meant|wait|no)\W{0,3}(?:(?:it|that|the (?:correct "
    r"|right )?answer)(?:'s| is| should be)"
    r"|i mean|i meant) (\S{1,40})"
)
_CHECKS = (
    r"\b(?:let me|let's|i should|i'll|i will|i want to|to|need to|i need to) (?:\w+[ -]){0,3}"
    r"(?:check|verify|make sure|recheck|confirm)"
)
_SUPPOSED = (
    r"\b(?:if|whether|unless|in case|make sure|making sure|ensure|suppose"
    r"|would|could|might|should|avoid|without|until|see that)\b"
)
_AFFIRMS = (
    r"\b(?:(?:that|this|it|everything|all)(?:'s| is| was| looks| seems)(?: [a-z]+){0,2} (?:right|correct"
    r"|good|fine|ok|okay)"
    r"|(?:my|the) (?:original|first|previous|initial|earlier|boxed) (?:answer|result|value|one)\b[^\d]*"
    r"\b(?:right|correct|stands|holds)"
    r"|(?:it|that|this|the answer|my answer) (?:stands|holds|checks out)|confirmed)\b"
)
_NAMED_RIGHT = r"\b(?:right|correct|indeed|still|the answer is|it is|it's|that's|stands|holds|fine|good)\b"
# One of these stands in every retraction that the patterns know: most texts have none, and are done with.
_SIGNS = (
    "wrong", "mis", "error", "correct", "invalid", "false", "not ", "n't", "cannot", "scratch", "strike",
    "ignore", "disregard", "forget", "discard", "never", "take", "retract", "withdraw", "bad", "oops", "fix",
    "no", "actually", "sorry", "rather", "i mean", "wait", "mind",
)  # fmt: skip
_PREDICATES = ("is ", "was ", "isn't ", "wasn't ", "can't be ", "cannot be ", "must be ")
_BREAK = r"[,:—–][\s—–]*|\s-+\s+"
_NUMBER = r"\d+(?:[.,]\d+)*"


def is_retracted(text: str, start: int, until: int, answer: str) -> bool:
    """Whether text[start:until], what follows the mark with this answer
    up to the next mark, takes it back."""
    window = text[start : min(until, start + WITHIN)].lower().replace("’", "'")
    if len(window) < SHORTEST or not any(sign in window for sign in _SIGNS):
        return False
    own = answer.strip().lower()[: WITHIN + 1]  # what is longer can't be named within the window
    retracted = False
    for match in compile_once(_SENTENCE).finditer(window):
        sentence = match[0].strip(" \t\r\n*_.,:;$)~")
        if (match.start() == 0 and sentence.startswith(_PREDICATES)) or sentence.startswith(own + " "):
            sentence = f"it {sentence.removeprefix(own).lstrip()}"  # the answer itself is what this is about
        asks = match[0].rstrip().endswith("?")
        if not sentence or asks:
            continue
        if retracted or _retracts(sentence, own):
            retracted = not _affirms(sentence, own)
    return retracted


def _retracts(sentence: str, own: str) -> bool:
    if compile_once(_SUPPOSED).search(sentence) and not compile_once(_LEAD + _IT + _IS).match(sentence):
        return False
    if compile_once(_ALWAYS).search(sentence):
        return True
    if compile_once(_DENIAL).match(sentence) and not compile_once(_CHECKS).search(sentence):
        return True
    corrected = compile_once(_CORRECTED).match(sentence)
    if corrected and _is_other(corrected[1], own):
        return True
    for clause in _clauses(sentence):
        opening = compile_once(_OPENING).match(sentence, clause)
        # "one might think 36, but that is wrong" is about 36
        if opening and not _names_other(sentence[:clause], own):
            return True
    return False


def _affirms(sentence: str, own: str) -> bool:
    if compile_once(_OPENING).match(sentence) or compile_once(_DOUBTS).search(sentence):
        return False
    if _names_other(sentence, own) and own not in sentence:
        return False
    if compile_once(_AFFIRMS).search(sentence):
        return True
    return _names(sentence, own) and compile_once(_NAMED_RIGHT).search(sentence) is not None


def _clauses(sentence: str) -> list[int]:
    """Where the first clauses of a sentence begin."""
    return [0, *(match.end() for match in islice(compile_once(_BREAK).finditer(sentence), MAX_CLAUSES - 1))]


def _names(sentence: str, own: str) -> bool:
    """Whether a sentence holds the answer as a word of its own."""
    at = sentence.find(own) if own else -1
    if at < 0:
        return False
    end = at + len(own)
    return not (at and sentence[at - 1].isalnum() and own[0].isalnum()) and not (
        end < len(sentence) and sentence[end].isalnum() and own[-1].isalnum()
    )


def _names_other(sentence: str, own: str) -> bool:
    """Whether a sentence holds a number that is no part of the answer."""
    known = set(compile_once(_NUMBER).findall(own))
    return any(number not in known for number in compile_once(_NUMBER).findall(sentence))


def _is_other(word: str, own: str) -> bool:
    """Whether a corrected value, a number or a letter, is another one than the answer."""
    bare = word.strip("*_.,:;$()\\!")
    return bare != own and (any(map(str.isdigit, bare)) or len(bare) == 1) and _names_other(bare, own)
