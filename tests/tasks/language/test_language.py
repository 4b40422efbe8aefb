"""The tasks about text, each worked out a second time from the words of its prompt."""

import contextlib
import random
import re

import pytest
import regex
from generated import draw, passes
from palaestra.tasks.common import patterns
from palaestra.tasks.common.words import WORDS
from palaestra.tasks.language import constrained_writing, regex_string, regex_which, sort_words

LEVELS = (1, 2, 3, 4)


def test_words_are_different_and_in_small_letters():
    assert len(WORDS) == len(set(WORDS)) > 300
    assert all(re.fullmatch("[a-z]{3,10}", word) for word in WORDS)


def fits(expression, text, seconds=0.2):
    """What another engine says; None where it does not come to an end."""
    with contextlib.suppress(TimeoutError):
        return bool(regex.fullmatch(expression, text, timeout=seconds))


def edit(text, said):
    """One edit as its words say."""
    numbers = [int(number) for number in re.findall(r"\d+", said)]
    match said.split():
        case ["reverse", "it"]:
            return "".join(reversed(text))
        case ["move", "the", "first", *_]:
            return text[numbers[0] :] + text[: numbers[0]]
        case ["move", "the", "last", *_]:
            return text[len(text) - numbers[0] :] + text[: len(text) - numbers[0]]
        case ["replace", "every", old, "with", new]:
            return "".join(new if letter == old else letter for letter in text)
        case ["exchange", "every", one, "for", other, *_]:
            return "".join({one: other, other: one}.get(letter, letter) for letter in text)
        case ["delete", "letter", _]:
            return "".join(letter for place, letter in enumerate(text, start=1) if place != numbers[0])
        case ["insert", new, *_]:
            return text[: numbers[0]] + new + text[numbers[0] :]
        case ["swap", *_]:
            letters = dict(enumerate(text, start=1))
            one, two = numbers
            letters[one], letters[two] = letters[two], letters[one]
            return "".join(letters.values())
        case ["double", *_]:
            return re.sub("([aeiou])", r"\1\1", text)
        case ["shift", *_]:
            return "".join("a" if letter == "z" else chr(ord(letter) + 1) for letter in text)
        case ["put", *_]:
            odd = [letter for place, letter in enumerate(text, start=1) if place % 2]
            return "".join(odd + [letter for place, letter in enumerate(text, start=1) if place % 2 == 0])
        case ["sort", *_]:
            return "".join(sorted(text))
    raise AssertionError(said)


@pytest.mark.parametrize("level", LEVELS)
def test_string_edits_are_what_they_say(level):
    for index in range(60):
        problem = draw("string_edits", index, level)
        text = re.search(r"the text ([a-z]+) and", problem.text)[1]
        for said in re.findall(r"^\d+\. (.+)$", problem.text, re.M):
            text = edit(text, said)
        assert passes("string_edits", problem, text)
        assert passes("string_edits", problem, f'"{text.upper()}"')
        assert not passes("string_edits", problem, text[::-1] + "x")


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_patterns_match_as_another_engine_says(depth):
    rng = random.Random(depth)
    for _ in range(150):
        node = patterns.draw_pattern(rng, rng.randint(1, 5), depth)
        written = patterns.write(node)
        assert patterns.parse(written) == node
        for text in (patterns.draw_text(rng, node) for _ in range(4)):
            assert patterns.matches(node, text)
            assert fits(written, text) in (True, None)
            spoilt = regex_which.spoil(rng, text)
            for other in (spoilt, text[:-1], text[1:], text + text):
                assert fits(written, other) in (patterns.matches(node, other), None), (written, other)


def test_a_pattern_that_python_would_hang_on_takes_no_time():
    node = patterns.parse("((a|a)*|(a|aa)*)*b")
    assert not patterns.matches(node, "a" * 4_000)
    assert patterns.matches(node, "a" * 4_000 + "b")
    with pytest.raises(ValueError, match="not understood"):
        patterns.parse("a)b")


@pytest.mark.parametrize("level", LEVELS)
def test_regex_string_accepts_every_string_that_fits(level):
    for index in range(20):
        problem = draw("regex_string", index, level)
        expression = re.search(r"regular expression (\S+) matches", problem.text)[1]
        length = int(re.search(r"exactly (\d+) letters", problem.text)[1])
        counts = {
            letter: int(count) for count, letter in re.findall(r"exactly (\d+) of them ([a-h])", problem.text)
        }
        rng, node = random.Random(index), patterns.parse(expression)
        texts = [patterns.draw_text(rng, node) for _ in range(60)]
        texts += [regex_which.spoil(rng, problem.reference["solution"]) for _ in range(30)]
        for text in filter(None, texts):
            right = len(text) == length and all(
                text.count(letter) == count for letter, count in counts.items()
            )
            found = regex_string.find_fault(problem.reference, text) == ""
            assert (right and fits(expression, text)) in (found, None), text
        assert not passes("regex_string", problem, problem.reference["solution"] + "z")


@pytest.mark.parametrize("level", LEVELS)
def test_regex_which_names_the_strings_that_match(level):
    for index in range(25):
        problem = draw("regex_which", index, level)
        expression = re.search(r"regular expression (\S+) match", problem.text)[1]
        told = re.findall(r"^(\d+)\. ([a-h]+)$", problem.text, re.M)
        found = [fits(expression, text, seconds=60) for _, text in told]
        assert None not in found
        right = [number for (number, _), fit in zip(told, found, strict=True) if fit]
        assert passes("regex_which", problem, ", ".join(right[::-1]))
        assert not passes("regex_which", problem, " ".join(right[1:]))
        assert not passes("regex_which", problem, " ".join([*right, right[0]]))


RULES = {
    "from short to long": len,
    "from long to short": lambda word: -len(word),
    "by their last letter": lambda word: ord(word[len(word) - 1]),
    "by their second letter": lambda word: ord(word[1]),
    "by the number of vowels (a, e, i, o, u), fewest first": lambda word: len(re.findall("[aeiou]", word)),
    "by how many different letters they have, most first": lambda word: 26 - len({*word}),
    "by the alphabet": lambda word: [ord(letter) for letter in word],
    "by the alphabet backwards, z first": lambda word: [ord("z") - ord(letter) for letter in word] + [99],
    "by the alphabet as if they were spelt backwards": lambda word: [
        ord(letter) for letter in reversed(word)
    ],
}


def find_rule(said):
    if first := re.fullmatch("those with the letter (.) first", said):
        return lambda word: 0 if first[1] in word else 1
    if first := re.fullmatch("by an alphabet that begins with (.) and, after z, goes on from a", said):
        return lambda word: [(ord(letter) - ord(first[1])) % 26 for letter in word]
    return RULES[said]


@pytest.mark.parametrize("level", LEVELS)
def test_words_are_sorted_by_the_rules_as_they_are_said(level):
    for index in range(60):
        problem = draw("sort_words", index, level)
        said = re.search(r"Sort these words (.+):\n", problem.text)[1].split("; words alike in that ")
        words = problem.text.split("\n")[1].split()
        words.sort(key=lambda word: [find_rule(rule)(word) for rule in said])
        assert passes("sort_words", problem, ", ".join(words))
        assert not passes("sort_words", problem, " ".join([words[1], words[0], *words[2:]]))
        assert not passes("sort_words", problem, " ".join(words[:-1]))
    assert sort_words.find_fault({"sorted": ["a", "b"]}, "b a") == "Word 1 is out of order."


def answer_question(text):
    """What a question about a table asks for, by its words."""
    lines = [line.strip("| ").split(" | ") for line in text.split("\n") if line.startswith("| ")]
    rows = [{"colour": c, "shop": s, "price": int(p), "stock": int(k)} for _, c, s, p, k in lines[1:]]
    said = text.rsplit("|\n", 1)[1]
    if kept := re.match(r"Leave out the rows of colour (\w+)\.", said):
        totals = {}
        for row in rows:
            if row["colour"] != kept[1]:
                totals[row["shop"]] = totals.get(row["shop"], 0) + row["price"] * row["stock"]
        best = max(totals.values())
        assert list(totals.values()).count(best) == 1
        return next(f"{shop} {total}" for shop, total in totals.items() if total == best)
    if asked := re.match(
        r"What is price times stock.+colour (\w+) or (\w+) that are not of shop (\w+)\?", said
    ):
        chosen = [row for row in rows if row["colour"] in asked.groups()[:2] and row["shop"] != asked[3]]
        return str(sum(row["price"] * row["stock"] for row in chosen))
    if asked := re.match(
        r".+column (\w+) over the rows that are not of shop (\w+) and whose (\w+) is below (\d+)\?", said
    ):
        chosen = [row for row in rows if row["shop"] != asked[2] and row[asked[3]] < int(asked[4])]
        return str(sum(row[asked[1]] for row in chosen))
    asked = re.match(r".+column (\w+) over the rows of colour (\w+)\?", said)
    return str(sum(row[asked[1]] for row in rows if row["colour"] == asked[2]))


@pytest.mark.parametrize("level", LEVELS)
def test_table_questions_are_answered_by_their_words(level):
    for index in range(60):
        problem = draw("table_question", index, level)
        answer = answer_question(problem.text)
        assert passes("table_question", problem, answer), (problem.text, answer)
        number = answer.split()[-1]
        assert passes("table_question", problem, answer.replace(number, f"{int(number):,}"))
        assert not passes("table_question", problem, answer + "0")
        assert not passes("table_question", problem, number + " " + number)
        assert level < 4 or not passes("table_question", problem, number)


def test_constrained_writing_holds_a_text_to_every_rule():
    rules = [
        {"kind": "words", "sentence": 0, "count": 4},
        {"kind": "uses", "word": "lamp", "count": 2},
        {"kind": "begins", "sentence": 1, "word": "old"},
        {"kind": "ends", "sentence": 0, "word": "lamp"},
        {"kind": "place", "sentence": 1, "place": 2, "word": "never"},
        {"kind": "without", "letter": "z"},
        {"kind": "initials", "sentence": 0, "letters": "abcl"},
        {"kind": "shortest", "count": 3},
        {"kind": "sorted", "sentence": 0},
    ]
    reference = {"sentences": 2, "rules": rules}
    right = "all bats carry lamp. old men never lamp."
    assert constrained_writing.find_fault(reference, right) == ""
    assert constrained_writing.find_fault(reference, "All bats carry,\nlamp. Old men never, lamp. ") == ""
    broken = {
        "all bats carry the lamp. old men never lamp.": "exactly 4 words",
        "all bats carry lamp. old men never lamps.": "used exactly 2 times",
        "all bats carry lamp. the old never lamp.": "begins with the word old",
        "all lamp carry lamps. old men never walk lamp.": "ends with the word lamp",
        "all bats carry lamp. old men lamp never.": "word 3 of the second sentence",
        "all bats carry lamp. old zebras never lamp.": "the letter z",
        "ants bats deny lamp. old men never lamp.": "spell abcl",
        "all bats carry lamp. old me never lamp.": "at least 3 letters",
        "all bats carry lamp.": "has 1 sentences",
    }
    for text, says in broken.items():
        assert says in constrained_writing.find_fault(reference, text), text
    rules[6]["letters"] = "bacl"
    assert "alphabetical" in constrained_writing.find_fault(
        reference, "bats all carry lamp. old men never lamp."
    )
    for text in ("", ".", "no full stop", "a. b", "caf\u00e9 au lait.", "one; two.", "1 2 3."):
        with pytest.raises(constrained_writing.Unreadable):
            constrained_writing.find_fault(reference, text)


@pytest.mark.parametrize("level", LEVELS)
def test_every_rule_of_constrained_writing_matters(level):
    """A text for another problem is no answer, and a rule that is left out lets more through."""
    problems = [draw("constrained_writing", index, level) for index in range(40)]
    for problem in problems:
        assert all(str(constrained_writing.say(rule)) in problem.text for rule in problem.reference["rules"])
    others = sum(
        passes("constrained_writing", problem, other.reference["solution"])
        for problem in problems
        for other in problems
        if problem is not other
    )
    assert others == 0
