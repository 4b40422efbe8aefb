"""The language of a completion, from its first words to its last ones."""

import time

import pytest
from palaestra import Completion, Problem, criteria
from palaestra.verifiers import Status

ENGLISH = (
    "We add the two numbers and then we look at what is left of it, which is the answer to the question. "
)
GERMAN = "Wir addieren die beiden Zahlen und sehen dann nach, was davon noch da ist; das ist die Antwort. "
CODE = """from math import isqrt

def is_prime(n: int) -> bool:
    if n < 2 or not isinstance(n, int):
        return False
    for d in range(2, isqrt(n) + 1):
        if n % d == 0:  # divides it, and so is not prime
            return False
    return True

with open("primes.txt", "w") as file:
    for n in range(100):
        print(n, is_prime(n), file=file)
"""
CHINESE = "我们把这两个数字相加，然后看看剩下的是什么，这就是问题的答案。"


def judge(text, wanted="en", **settings):
    return criteria.language(wanted, **settings).check(Completion(text), Problem("p"))


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("en", ENGLISH * 5),
        ("de", GERMAN),
        ("zh", CHINESE * 10),
        ("ja", "これは問題の答えです。二つの数を足します。" * 5),
        ("en", ENGLISH + r"$x^2 + \\frac{1}{2}$ <answer>42</answer>"),
        ("de", GERMAN * 3 + "```python\nfor n in a or not b:\n    return n\n```"),
        ("de", f"{GERMAN}```python\n{CODE}```"),
        ("en", ENGLISH * 4 + "1 2 3 4 5 " * 200),
    ],
)
def test_what_is_written_in_the_language_passes(wanted, text):
    assert judge(text, wanted).status is Status.CORRECT


@pytest.mark.parametrize(
    "text",
    [
        GERMAN,
        CHINESE,
        ENGLISH * 3 + CHINESE * 6,
        ENGLISH * 300 + GERMAN * 300,  # a switch after thousands of words
        " ".join(f"the {word} of" for word in CHINESE * 4),  # a language within every sentence of another
        ENGLISH * 2 + f"```\n{CHINESE * 4}\n```",
        ENGLISH * 2 + f"$ {GERMAN * 3} $",
    ],
)
def test_another_language_is_paid_for_its_share_alone(text):
    verdict = judge(text)
    assert verdict.value < 0.9
    assert verdict.status in (Status.PARTIAL, Status.WRONG)


def test_sentences_in_a_block_of_code_are_no_code():
    for fence in ("```", "```text\n", "```python\n# "):
        assert judge(f"{fence}{ENGLISH * 6}\n```\n{GERMAN}", "de").value < 0.5
    assert judge(f"{fence}{ENGLISH * 6}", "de").status is Status.WRONG


def test_nothing_said_is_no_answer_and_the_think_block_can_be_left_out():
    assert judge("").status is Status.NO_ANSWER
    assert judge("1 + 1 = 2").status is Status.NO_ANSWER
    mixed = f"<think>{CHINESE}</think>{ENGLISH}"
    assert judge(mixed).value < 0.9
    assert judge(mixed, part="answer").value == 1
    assert judge("<think>" + ENGLISH, part="answer").status is Status.NO_ANSWER


def test_a_megabyte_is_read_in_time():
    start = time.process_time()
    for text in ("a" * 1_000_000, "字" * 1_000_000, "```" * 300_000, "\\\\a" * 300_000, "<a" * 500_000):
        judge(text)
    assert time.process_time() - start < 20


def test_settings_that_can_t_be_are_refused():
    with pytest.raises(ValueError, match="known are ar, bg"):
        criteria.language("xx")
    with pytest.raises(ValueError, match="a share is above 0"):
        criteria.language("en", least=0)
