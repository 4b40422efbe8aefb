"""One word in a short sentence: `The student is Evelyn`, `It is an even function`."""

from __future__ import annotations

MAX_WORDS = 12
_COPULAS = frozenset(("is", "are", "was", "were"))
_ARTICLES = frozenset(("a", "an", "the"))
_KINDS = frozenset(  # what a property may stand before: "an even function"
    str.split(
        "function number integer triangle quadrilateral polygon curve angle matrix sequence series set "
        "graph line shape figure relation conic solution answer day month equation"
    )
)
_TURNS = frozenset(  # words that deny, weigh or offer something else
    str.split(
        "not no never neither nor none without hardly barely scarcely or either but except unless if "
        "whether maybe perhaps possibly probably likely might may could would should unlike opposite "
        "contrary false wrong incorrect loser other than and both besides beside isnt arent wasnt cannot "
        "cant almost nearly supposedly allegedly"
    )
)
_ADJECTIVES = {"convergent": "converges", "divergent": "diverges", "true": "yes", "false": "no"}


def says(sentence: str, word: str) -> bool:
    """Whether a folded sentence says one word and nothing else of it:
    "student is evelyn", "it is an even function".

    Before the one "is" stands what it is about; behind it the word,
    and no more than the kind of thing that it describes.
    """
    sentence = sentence.replace(" will be ", " is ")
    if " " in word or (" is " not in f" {sentence} " and " are " not in sentence and " was " not in sentence):
        return False
    words = sentence.replace(",", " ,").split()
    at = [index for index, each in enumerate(words) if each in _COPULAS]
    if len(words) > MAX_WORDS or len(at) != 1 or not at[0]:
        return False
    lead = words[: at[0]]
    tail = [each for each in words[at[0] + 1 :] if each not in _ARTICLES]
    if (
        not tail
        or _ADJECTIVES.get(tail[0], tail[0]) != word
        or len(tail) > 2
        or (len(tail) == 2 and tail[1] not in _KINDS)
    ):
        return False
    return word not in lead and not _TURNS.intersection(lead) and all(each.isalpha() for each in lead)


__all__ = ["says"]
