"""Texts that follow the instructions of IFBench, one for each of them; those of several are tried in turn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from .following import Given, make_solver
from .instructions_ifbench import CHECKS, CONJUNCTIONS, TIMES

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _name_words(count: int) -> str:
    """So many different words."""
    return " ".join(
        f"w{LETTERS[n // 676 % 26]}{LETTERS[n // 26 % 26]}{LETTERS[n % 26]}" for n in range(count)
    )


def _place(given: Given) -> str:
    """A keyword as the m-th word of the n-th sentence."""
    before, words = "No. " * (int(given["n"]) - 1), "so " * (int(given["m"]) - 1)
    return f"{before}{words}{given['keyword']}."


def _grow(given: Given) -> str:
    counts = (1, 1 + int(given["small_n"]), 1 + 2 * int(given["small_n"]))
    return " ".join(f"{' '.join(['so'] * count)}." for count in counts)


def _choose(given: Given) -> str:
    options = (each.strip(" .") for each in re.split(r"/|,|\bor\b", given["options"]))
    return next(filter(None, options), "")


WRITERS: Mapping[str, Callable[[Given], str]] = {
    "count:conjunctions": lambda given: " ".join(sorted(CONJUNCTIONS)[: int(given["small_n"])]) + " so.",
    "count:keywords_multiple": lambda given: " ".join(
        word for number, times in enumerate(TIMES, 1) for word in [given[f"keyword{number}"]] * times
    ),
    "count:numbers": lambda given: " ".join(["So", *["7"] * int(given["N"])]),
    "count:punctuation": lambda _given: "So. Yes, no! Why? One; two: what?!",
    "count:unique_word_count": lambda given: _name_words(int(given["N"])),
    "count:word_count_range": lambda given: "so " * int(given["min_words"]),
    "format:line_indent": lambda _given: "one\n two\n  three",
    "format:list": lambda given: f"{given['sep']} one\n{given['sep']} two",
    "format:newline": lambda _given: "one\ntwo",
    "format:no_bullets_bullets": lambda _given: "One. Two.\n* three\n* four",
    "format:no_whitespace": lambda _given: "Nothing.",
    "format:options": _choose,
    "format:parentheses": lambda _given: "([{([so])}])",
    "format:sub-bullets": lambda _given: "* one\n - two\n* three\n - four",
    "format:title_case": lambda _given: "The Tides of May",
    "ratio:sentence_balance": lambda _given: "So. So? So!",
    "ratio:sentence_type": lambda _given: "One. Two. Three?",
    "ratio:sentence_words": lambda _given: "Cats nap. Dogs run. Mice hid.",
    "sentence:alliteration_increment": lambda _given: "One two. Big bad dogs. Six sly seals sing.",
    "sentence:increment": _grow,
    "sentence:keyword": lambda given: f"{'No. ' * (int(given['N']) - 1)}So {given['word']}.",
    "words:alphabet": lambda _given: "Yes, zebras are big",
    "words:consonants": lambda _given: "First things last",
    "words:keywords_specific_position": _place,
    "words:last_first": lambda _given: "We saw rain. Rain fell.",
    "words:no_consecutive": lambda _given: "Hi there, friend",
    "words:palindrome": lambda _given: "level " * 10,
    "words:paragraph_last_first": lambda _given: "Rain is rain.\nSun is sun.",
    "words:prime_lengths": lambda _given: "We see bears",
    "words:repeats": lambda _given: "Yes no",
    "words:vowel": lambda _given: "A red pit.",
    "words:words_position": lambda given: f"A {given['keyword']} and {given['keyword']} one",
}


def propose_texts(asked: Mapping[str, Given]) -> Iterator[str]:
    for name, given in asked.items():
        yield WRITERS[name](given)


solve_ifbench = make_solver(CHECKS, propose_texts)
