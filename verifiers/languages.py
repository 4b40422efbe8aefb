"""Which language a text is in, of two dozen, by its script and its most frequent words.

No model is asked: a verdict must not hang on one. A text in a language that is not here is in none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

MOST_WORDS = 5_000  # of a text that are looked at
# Unicode ranges of a script, and the languages written in it here.
SCRIPTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "arabic": ("\u0600-\u06ff", ("ar", "fa", "ur")),
    "bengali": ("\u0980-\u09ff", ("bn",)),
    "cyrillic": ("\u0400-\u04ff", ("bg", "ru", "uk")),
    "devanagari": ("\u0900-\u097f", ("hi", "mr", "ne")),
    "greek": ("\u0370-\u03ff", ("el",)),
    "gujarati": ("\u0a80-\u0aff", ("gu",)),
    "gurmukhi": ("\u0a00-\u0a7f", ("pa",)),
    "hangul": ("\uac00-\ud7af", ("ko",)),
    "hebrew": ("\u0590-\u05ff", ("he",)),
    "kana": ("\u3040-\u30ff", ("ja",)),
    "han": ("\u4e00-\u9fff", ("zh",)),
    "kannada": ("\u0c80-\u0cff", ("kn",)),
    "tamil": ("\u0b80-\u0bff", ("ta",)),
    "telugu": ("\u0c00-\u0c7f", ("te",)),
    "thai": ("\u0e00-\u0e7f", ("th",)),
    "latin": ("a-zA-Z\u00c0-\u024f\u1e00-\u1eff",
              ("de", "en", "es", "fi", "fr", "it", "nl", "pl", "pt", "sv", "sw", "tr", "vi")),
}  # fmt: skip
# The most frequent words of languages that share a script.
WORDS = {
    "ar": "في من على إلى أن هذا التي الذي هو هي كان مع لا ما عن كل أو قد بين بعد",
    "fa": "در به از که این را با است برای آن یک می های تا بر هم شود ما کرد خود",
    "ur": "کے کی میں ہے اور کا کو سے یہ نے پر ہیں کہ اس ایک بھی تو نہیں ہم ہو",
    "bg": "на се за да от по не си са със като това към или тази този ще беше бъде през",
    "ru": "и в не на что с как это по но из у за от для его она они был мы",
    "uk": "і в не на що з як це та до але від для його вона вони був ми є про",
    "hi": "है में के की और को से का यह पर हैं एक कि नहीं भी ने तो हो था लिए",
    "mr": "आहे आणि या मध्ये तो ते ही हा आहेत च्या होते नाही एक करून साठी पण त्या मला असे आपल्या",
    "ne": "छ र को मा लाई हो यो गर्न पनि छन् का गर्ने भने तर एक हुन्छ थियो लागि गरेको तपाईं",
    "de": "der die und das ist nicht ein eine zu mit den von für auf sich dem im es ich wir auch",
    "en": "the of and to a in is that it for you was with on as are this be have by not or from at",
    "es": "el la de que y en los se del las por un para con una su es no lo más como",
    "fi": "ja on ei että se hän oli mutta kuin tai myös ovat joka kun tämä minä mitä niin ole sen",
    "fr": "le la les de et des en un une du est que dans qui pour pas sur au plus ce avec il",
    "it": "il di che e la per un in è non sono una del con si le gli della come più anche da",
    "nl": "de het een en van in is dat op te zijn met voor niet aan er om ook die als maar",
    "pl": "w i na z się nie do to że jest o jak po co ale tak za od przez są dla",
    "pt": "o a de que e do da em um para com não uma os no se na por mais as dos como",
    "sv": "och att det i en är som på för med inte av den till har de ett om var jag",
    "sw": "na ya wa kwa ni za katika la cha kuwa hii au kama yake si lakini watu sana hiyo kila",
    "tr": "bir ve bu da de için ile çok ne gibi olarak daha ama olan kadar sonra var en değil ben",
    "vi": "và của là có không cho một được trong các những này với để người khi đã từ tôi như",
}  # fmt: skip
COMMON = {language: frozenset(words.split()) for language, words in WORDS.items()}
_LETTERS = {name: re.compile(f"[{ranges}]") for name, (ranges, _) in SCRIPTS.items()}
# combining vowels of Indian scripts are no letters to \w
_WORD = re.compile(r"[\w\u0900-\u0d7f\u200c\u200d]+")


def is_in(text: str, language: str) -> bool:
    """Whether a text is in a language, named by its ISO 639-1 code. Raises ValueError for one not here."""
    check_known(language)
    return find_language(text) == language


def check_known(language: str) -> None:
    """Raise ValueError for a language that is not here."""
    languages = {each for _, listed in SCRIPTS.values() for each in listed}
    if language not in languages:
        raise ValueError(f"language {language!r} is not known; known are {', '.join(sorted(languages))}")


def find_language(text: str) -> str:
    """The language that most words speak for; "" where none does."""
    words = [word.lower() for word in islice(_list_words(text), MOST_WORDS)]
    letters = "".join(words)
    counts = {name: sum(1 for _ in pattern.finditer(letters)) for name, pattern in _LETTERS.items()}
    if counts["kana"]:  # Japanese is written in both
        counts["kana"] += counts.pop("han")
    script = max(counts, key=lambda name: counts[name])
    if not counts[script]:
        return ""
    _, languages = SCRIPTS[script]
    if len(languages) == 1:
        return languages[0]
    votes = {each: sum(word in COMMON[each] for word in words) for each in languages}
    best = max(languages, key=lambda each: votes[each])
    return best if votes[best] else ""


def count_letters(text: str, language: str = "") -> int:
    """Letters of the scripts that are known here; of those that a language is written in, where one is said.
    A Latin letter by itself is a symbol, and counts for none."""
    words = [word.lower() for word in _list_words(text)]
    letters = "".join(word for word in words if len(word) > 1 or not word.isascii())
    scripts = [name for name, (_, listed) in SCRIPTS.items() if not language or language in listed]
    if language == "ja":
        scripts.append("han")
    return sum(1 for name in scripts for _ in _LETTERS[name].finditer(letters))


def _list_words(text: str) -> Iterator[str]:
    return (found.group() for found in _WORD.finditer(text))
