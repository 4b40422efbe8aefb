"""Instructions of IFBench (Pyatkin et al. 2025, arXiv:2507.02833) that can be judged without a dictionary, a
tagger or a model: by the words of the prompts themselves, each linear in the length of the text.

Words are runs of letters with apostrophes and hyphens inside, sentences are those of
`instructions.split_sentences`.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from .instructions import Follows, count_occurrences, split_sentences

WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
CONJUNCTIONS = {"for", "and", "nor", "but", "or", "yet", "so"}
MARKS = (".", ",", "!", "?", ";", ":", "?!")
VOWELS = set("aeiou")
CLUSTER = re.compile(r"[b-df-hj-np-tv-z]{2}", re.IGNORECASE)
TIMES = (1, 2, 3, 5, 7)  # of keyword1 to keyword5
SMALL = {
    "a",
    "an",
    "and",
    "as",
    "at",
    "but",
    "by",
    "for",
    "from",
    "in",
    "into",
    "nor",
    "of",
    "on",
    "or",
    "the",
}
SMALL |= {"to", "up", "with"}  # words that a title may leave small


def list_words(text: str) -> list[str]:
    """The words, in small letters."""
    return [found.group().lower() for found in WORD.finditer(text)]


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def _goes_through_alphabet(text: str, _given: Mapping[str, Any]) -> bool:
    letters = [word[0] for word in list_words(text)]
    if not all("a" <= letter <= "z" for letter in letters):
        return False
    return all((ord(b) - ord(a)) % 26 == 1 for a, b in itertools.pairwise(letters))


def _counts_keywords(text: str, given: Mapping[str, Any]) -> bool:
    return all(
        count_occurrences(text, given[f"keyword{number}"]) == times for number, times in enumerate(TIMES, 1)
    )


def _has_palindromes(text: str, _given: Mapping[str, Any]) -> bool:
    return sum(len(word) >= 5 and word == word[::-1] for word in list_words(text)) >= 10


def _chains(text: str, _given: Mapping[str, Any]) -> bool:
    sentences = [words for words in map(list_words, split_sentences(text)) if words]
    return all(first[-1] == second[0] for first, second in itertools.pairwise(sentences))


def _closes_paragraphs(text: str, _given: Mapping[str, Any]) -> bool:
    paragraphs = [words for words in map(list_words, text.split("\n")) if words]
    return bool(paragraphs) and all(words[0] == words[-1] for words in paragraphs)


def _is_placed(text: str, given: Mapping[str, Any]) -> bool:
    sentences, sentence, place = split_sentences(text), int(given["n"]), int(given["m"])
    words = list_words(sentences[sentence - 1]) if 1 <= sentence <= len(sentences) else []
    return 1 <= place <= len(words) and words[place - 1] == given["keyword"].lower()


def _has_in_sentence(text: str, given: Mapping[str, Any]) -> bool:
    sentences, place = split_sentences(text), int(given["N"])
    return 1 <= place <= len(sentences) and count_occurrences(sentences[place - 1], given["word"]) > 0


def _grows(text: str, given: Mapping[str, Any]) -> bool:
    counts = [len(list_words(sentence)) for sentence in split_sentences(text)]
    return all(second - first == int(given["small_n"]) for first, second in itertools.pairwise(counts))


def _alliterates(text: str, _given: Mapping[str, Any]) -> bool:
    """Each sentence has a longer run of words with one first letter than the sentence before it."""
    longest = [
        max((len(list(run)) for _, run in itertools.groupby(word[0] for word in words)), default=0)
        for words in map(list_words, split_sentences(text))
    ]
    return all(first < second for first, second in itertools.pairwise(longest))


def _nests(text: str, _given: Mapping[str, Any]) -> bool:
    """Five brackets, of any kind, are open at once, each closed by its like."""
    pairs, opened, deepest, reached = {")": "(", "]": "[", "}": "{"}, list[str](), 0, False
    for sign in text:
        if sign in pairs.values():
            opened.append(sign)
            deepest = max(deepest, len(opened))
        elif sign in pairs:
            if not opened or opened.pop() != pairs[sign]:
                return False
            reached = reached or (deepest >= 5 and not opened)
    return reached and not opened


def _is_title(text: str, _given: Mapping[str, Any]) -> bool:
    words = [found.group() for found in WORD.finditer(text)]
    return bool(words) and all(
        word[0].isupper() or not word[0].isalpha() or (place and word in SMALL)
        for place, word in enumerate(words)
    )


def _indents(text: str, _given: Mapping[str, Any]) -> bool:
    lines = [line.expandtabs() for line in _lines(text)]
    widths = [len(line) - len(line.lstrip()) for line in lines]
    return len(widths) > 1 and all(first < second for first, second in itertools.pairwise(widths))


def _bullets_have_some_below(text: str, _given: Mapping[str, Any]) -> bool:
    marks = [line.strip()[0] for line in _lines(text) if line.strip()[0] in "*-"]
    below = [first + second == "*-" for first, second in itertools.pairwise([*marks, ""])]
    return "*" in marks and all(below[place] for place, mark in enumerate(marks) if mark == "*")


def _ends_in_bullets(text: str, _given: Mapping[str, Any]) -> bool:
    lines = [line.strip() for line in _lines(text)]
    first = next((place for place, line in enumerate(lines) if line.startswith("*")), len(lines))
    sentences = [each for each in split_sentences("\n".join(lines[:first])) if each.endswith(".")]
    return len(sentences) >= 2 and sum(line.startswith("*") for line in lines[first:]) >= 2


def _is_option(text: str, given: Mapping[str, Any]) -> bool:
    """The whole text is one of the options, which stand between slashes, commas or the word or."""
    options = {each.strip(" .").lower() for each in re.split(r"/|,|\bor\b", given["options"])}
    return text.strip(" .\n").lower() in options - {""}


def _ends_of(text: str) -> Counter[str]:
    return Counter(sentence.rstrip("\"')]")[-1:] for sentence in split_sentences(text))


def _is_twice_told(text: str, _given: Mapping[str, Any]) -> bool:
    ends = _ends_of(text)
    return ends["?"] > 0 and ends["."] == 2 * ends["?"]


def _is_balanced(text: str, _given: Mapping[str, Any]) -> bool:
    ends = _ends_of(text)
    return ends["."] == ends["?"] == ends["!"] > 0


def _is_even(text: str, _given: Mapping[str, Any]) -> bool:
    sentences, words = split_sentences(text), list_words(text)
    return len(sentences) == 3 == sum(map(bool, sentences)) and (
        len({len(sentence) for sentence in sentences}) == 1 and len(set(words)) == len(words)
    )


def _is_second_and_last_but_one(text: str, given: Mapping[str, Any]) -> bool:
    words = list_words(text)
    return len(words) > 3 and words[1] == words[-2] == given["keyword"].lower()


CHECKS: Mapping[str, Follows] = {
    "count:conjunctions": lambda text, given: (
        len(CONJUNCTIONS & set(list_words(text))) >= int(given["small_n"])
    ),
    "count:keywords_multiple": _counts_keywords,
    "count:numbers": lambda text, given: (
        sum(1 for _ in re.finditer(r"\b\d+(?:[.,]\d+)*\b", text)) == int(given["N"])
    ),
    "count:punctuation": lambda text, _given: all(mark in text for mark in MARKS),
    "count:unique_word_count": lambda text, given: len(set(list_words(text))) >= int(given["N"]),
    "count:word_count_range": lambda text, given: (
        int(given["min_words"]) <= len(text.split()) <= int(given["max_words"])
    ),
    "format:line_indent": _indents,
    "format:list": lambda text, given: text.count(given["sep"]) > 1,
    "format:newline": lambda text, _given: all(len(line.split()) == 1 for line in _lines(text)),
    "format:no_bullets_bullets": _ends_in_bullets,
    "format:no_whitespace": lambda text, _given: not re.search(r"\s", text.strip()),
    "format:options": _is_option,
    "format:parentheses": _nests,
    "format:sub-bullets": _bullets_have_some_below,
    "format:title_case": _is_title,
    "ratio:sentence_balance": _is_balanced,
    "ratio:sentence_type": _is_twice_told,
    "ratio:sentence_words": _is_even,
    "sentence:alliteration_increment": _alliterates,
    "sentence:increment": _grows,
    "sentence:keyword": _has_in_sentence,
    "words:alphabet": _goes_through_alphabet,
    "words:consonants": lambda text, _given: all(CLUSTER.search(word) for word in list_words(text)),
    "words:keywords_specific_position": _is_placed,
    "words:last_first": _chains,
    "words:no_consecutive": lambda text, _given: all(
        first[0] != second[0] for first, second in itertools.pairwise(list_words(text))
    ),
    "words:palindrome": _has_palindromes,
    "words:paragraph_last_first": _closes_paragraphs,
    "words:prime_lengths": lambda text, _given: all(_is_prime(len(word)) for word in list_words(text)),
    "words:repeats": lambda text, given: (
        max(Counter(list_words(text)).values(), default=0) <= int(given["small_n"])
    ),
    "words:vowel": lambda text, _given: len(VOWELS & set(text.lower())) <= 3,
    "words:words_position": _is_second_and_last_but_one,
}
