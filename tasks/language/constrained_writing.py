"""Write a few sentences that keep some rules, each of which can be checked: any text that does counts.

Each level has more sentences and more rules. What the sentences mean is not judged.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import Unreadable, err_by_step, puzzle, work_out
from ..common.words import WORDS
from ..core.problem import Problem
from ..core.task import task

SENTENCES = (1, 2, 3, 4)  # by level
RULES = (3, 5, 7, 9)
WORDS_IN_ONE = (5, 9)
Text = Sequence[Sequence[str]]  # sentences of words
Rule = Mapping[str, Any]  # of one kind of RULE_KINDS, with the numbers and words that it needs

ORDINALS = ("first", "second", "third", "fourth")


def read_text(answer: str) -> Text:
    """The sentences, each up to its full stop, in words of small letters. Raises Unreadable."""
    *sentences, rest = answer.replace(",", " ").lower().split(".")
    words = [sentence.split() for sentence in sentences]
    if rest.strip() or not words or not all(words):
        raise Unreadable("The answer is no text of sentences that each end with a full stop.")
    if not all(word.isascii() and word.isalpha() for sentence in words for word in sentence):
        raise Unreadable(
            "Words are made of the letters a to z, with blanks, commas and full stops between them."
        )
    return words


def count_word(text: Text, word: str) -> int:
    return sum(sentence.count(word) for sentence in text)


KEEPS: dict[str, Callable[[Text, Rule], bool]] = {
    "words": lambda text, rule: len(text[rule["sentence"]]) == rule["count"],
    "uses": lambda text, rule: count_word(text, rule["word"]) == rule["count"],
    "begins": lambda text, rule: text[rule["sentence"]][0] == rule["word"],
    "ends": lambda text, rule: text[rule["sentence"]][-1] == rule["word"],
    "place": lambda text, rule: text[rule["sentence"]][rule["place"] : rule["place"] + 1] == [rule["word"]],
    "without": lambda text, rule: not any(rule["letter"] in word for sentence in text for word in sentence),
    "initials": lambda text, rule: "".join(word[0] for word in text[rule["sentence"]]) == rule["letters"],
    "shortest": lambda text, rule: all(len(word) >= rule["count"] for sentence in text for word in sentence),
    "sorted": lambda text, rule: list(text[rule["sentence"]]) == sorted(text[rule["sentence"]]),
}


def say(rule: Rule) -> str:
    """A rule in words."""
    sentence = f"the {ORDINALS[rule.get('sentence', 0)]} sentence"
    times = "once" if rule.get("count") == 1 else f"{rule.get('count')} times"
    return {
        "words": f"{sentence} has exactly {rule.get('count')} words",
        "uses": f"the word {rule.get('word')} is used exactly {times}",
        "begins": f"{sentence} begins with the word {rule.get('word')}",
        "ends": f"{sentence} ends with the word {rule.get('word')}",
        "place": f"word {rule.get('place', 0) + 1} of {sentence} is {rule.get('word')}",
        "without": f"the letter {rule.get('letter')} is nowhere in the text",
        "initials": f"the first letters of the words of {sentence} spell {rule.get('letters')}",
        "shortest": f"every word has at least {rule.get('count')} letters",
        "sorted": f"the words of {sentence} are in alphabetical order",
    }[rule["kind"]]


def find_fault(reference: dict, answer: str) -> str:
    """Whether the text has its sentences and keeps every rule."""
    text = read_text(answer)
    if len(text) != reference["sentences"]:
        return f"It has {len(text)} sentences, not {reference['sentences']}."
    broken = next((rule for rule in reference["rules"] if not KEEPS[rule["kind"]](text, rule)), None)
    return f"It is not so that {say(broken)}." if broken else ""


def solve(problem: Problem) -> str:
    """The rules in turn, then a text that keeps them."""
    return work_out(map(say, problem.reference["rules"]), problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Words that some rule bears on, once for each rule."""
    text = read_text(problem.reference["solution"])
    everywhere = sum(map(len, text))
    return sum(
        len(text[rule["sentence"]]) if "sentence" in rule else everywhere
        for rule in problem.reference["rules"]
    )


def draw_text(rng: random.Random, sentences: int) -> list[list[str]]:
    """Sentences without one letter, some of them in alphabetical order."""
    letter = rng.choice("abcdefghiklmnoprstu")
    words = [word for word in WORDS if letter not in word]
    text: list[list[str]] = [rng.sample(words, rng.randint(*WORDS_IN_ONE)) for _ in range(sentences)]
    return [sorted(sentence) if rng.random() < 0.3 else sentence for sentence in text]


def draw_rule(rng: random.Random, text: Text) -> Rule:
    """Something that holds of the text, told by the text itself."""
    kind, number = rng.choice(list(KEEPS)), rng.randrange(len(text))
    sentence = text[number]
    place = rng.randrange(1, len(sentence) - 1)
    all_words = [word for other in text for word in other]
    missing = sorted(set("abcdefghiklmnoprstu") - set("".join(all_words)))
    rules: dict[str, Rule] = {
        "words": {"sentence": number, "count": len(sentence)},
        "uses": {"word": sentence[place], "count": count_word(text, sentence[place])},
        "begins": {"sentence": number, "word": sentence[0]},
        "ends": {"sentence": number, "word": sentence[-1]},
        "place": {"sentence": number, "place": place, "word": sentence[place]},
        "without": {"letter": rng.choice(missing)},
        "initials": {"sentence": number, "letters": "".join(word[0] for word in sentence)},
        "shortest": {"count": min(map(len, all_words))},
        "sorted": {"sentence": number},
    }
    return {"kind": kind, **rules[kind]}


def are_apart(rules: Sequence[Rule]) -> bool:
    """Whether none says again what another says of the same sentence or word."""
    said = [
        (rule["kind"], rule.get("sentence"), rule.get("word") if rule["kind"] == "uses" else None)
        for rule in rules
    ]
    spelt = {rule["sentence"] for rule in rules if rule["kind"] == "initials"}
    told = {rule["sentence"] for rule in rules if rule["kind"] == "words"}
    return len(set(said)) == len(said) and not spelt & told


@task(
    "constrained_writing",
    rubric=Rubric(puzzle("rules", find_fault, max_chars=3_000, several=True), answer_tag(weight=0.1)),
    levels=len(RULES),
    kind="language",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=100),
    licence="Apache-2.0",
)
def constrained_writing(rng: random.Random, level: int) -> Iterator[Problem]:
    """Write sentences that keep rules; one sentence and 3 rules up to four sentences and 9 rules."""
    text = draw_text(rng, SENTENCES[level - 1])
    rules: list[Rule] = []
    while len(rules) < RULES[level - 1] or sum("word" in rule or "letters" in rule for rule in rules) < 2:
        rule = draw_rule(rng, text)
        if KEEPS[rule["kind"]](text, rule) and are_apart([*rules, rule]):
            rules.append(rule)
        if len(rules) > RULES[level - 1]:
            rules.pop(0)
    rules.sort(key=lambda rule: list(KEEPS).index(rule["kind"]))
    count = len(text)
    yield Problem(
        prompt=f"Write {count} {'sentence' if count == 1 else 'sentences'} in small letters a to z, with a "
        "full stop "
        "at the end of each, such that\n"
        + "\n".join(f"- {say(rule)}" for rule in rules)
        + "\nBetween words stand blanks or commas, nothing else. What it says does not matter. "
        "Answer with the text alone.",
        reference={
            **{"sentences": count, "rules": rules},
            "solution": " ".join(" ".join(sentence) + "." for sentence in text),
        },
        key=f"{count} {[say(rule) for rule in rules]}",
    )
