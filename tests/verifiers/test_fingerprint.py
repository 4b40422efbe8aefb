"""The hash of what judges: another one for other code or parameters, the same one wherever and whenever."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from palaestra.verifiers import Rubric, named
from palaestra.verifiers.fingerprint import hash_check
from palaestra.verifiers.version import hash_rubric

OWN = """
    import re
    from functools import partial

    KEYWORDS = ["please"]
    LEAST = 3

    class Reader:
        def __init__(self, mark):
            self.mark = mark

        def read(self, text):
            return text.rpartition(self.mark)[2]

    READER = Reader("=")

    def helper(text):
        return len(READER.read(text)) > LEAST and any(word in text for word in KEYWORDS)

    def reward(completion, problem):
        # looks at the end
        return 1.0 if helper(completion.text) else 0.0
"""


def run_code(text: str) -> Callable[..., float]:
    """The reward of code that no file holds, as of a notebook's cell."""
    space: dict = {"__name__": "__main__"}
    exec(textwrap.dedent(text), space)
    return space["reward"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.0 if helper", "0.5 if helper"),
        ("(READER.read(text)) >", "(READER.read(text)) >="),
        ("LEAST = 3", "LEAST = 4"),
        ('["please"]', '["thanks"]'),
        ("rpartition", "partition"),
        ('Reader("=")', 'Reader(":")'),
        ("def reward(completion, problem)", "def reward(completion, problem, strict=True)"),
    ],
)
def test_whatever_a_function_reaches_is_in_its_hash(old: str, new: str):
    assert old in OWN
    assert hash_check(run_code(OWN)) != hash_check(run_code(OWN.replace(old, new)))


def test_neither_comments_nor_another_function_nor_the_place_change_it():
    other = OWN.replace("# looks at the end", "# another word\n") + "\n    def unused(): return 7\n"
    assert hash_check(run_code(OWN)) == hash_check(run_code(other))


def test_what_a_function_was_made_with_is_in_its_hash():
    def make(least: int):
        def reward(completion, problem):
            return len(completion.text) > least

        return reward

    assert hash_check(make(1)) == hash_check(make(1))
    assert hash_check(make(1)) != hash_check(make(2))
    wrapped = [named.function(make(least)).check for least in (1, 1, 2)]
    assert hash_check(wrapped[0]) == hash_check(wrapped[1]) != hash_check(wrapped[2])
    first = [named.first_of(make(1), make(least)).check for least in (1, 1, 2)]
    assert hash_check(first[0]) == hash_check(first[1]) != hash_check(first[2])


def test_what_a_function_keeps_between_calls_does_not_change_it():
    space: dict = {"__name__": "__main__"}
    exec("CACHE = {}\ndef reward(completion, problem):\n    return CACHE.setdefault(completion, 1.0)", space)
    before = hash_check(named.function(space["reward"]).check)
    space["reward"]("a text", None)
    assert space["CACHE"]
    assert hash_check(named.function(space["reward"]).check) == before


@pytest.mark.parametrize("form", ["import helpers", "from helpers import score", "inside"])
def test_a_module_of_ones_own_counts_however_it_is_imported(tmp_path: Path, form: str):
    imports = "" if form == "inside" else form
    inside = "    from helpers import score\n" if form == "inside" else ""
    call = "helpers.score" if form == "import helpers" else "score"
    (tmp_path / "rewards.py").write_text(
        f"{imports}\ndef reward(completion, problem):\n{inside}    return {call}(completion)\n"
    )
    hashes = []
    for value, seed in ((0.0, "1"), (0.0, "2"), (1.0, "1")):
        (tmp_path / "helpers.py").write_text(
            f"NAMES = {{'a', 'b'}}\ndef score(text):\n    return {value} if text in NAMES else 0.5\n"
        )
        done = subprocess.run(
            [sys.executable, "-B", "-c", "import rewards, palaestra.verifiers.fingerprint as f; "
             "print(f.hash_check(rewards.reward))"],
            cwd=tmp_path, env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin"}, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        hashes.append(done.stdout)
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_parameters_of_a_criterion_are_in_the_hash_of_its_rubric():
    def of(*arguments, **more):
        return hash_rubric(Rubric(named.judge(*arguments, **more)))

    url = "http://localhost:8000/v1"
    assert of("a", url) == of("a", "http://localhost:8001/v1", retries=1)
    assert of("a", url) != of("b", url)
    assert of("a", url) != of("a", url, template="Is it right? {completion}")
    assert of("a", url) != of("a", url, grades=5)
    assert hash_rubric(Rubric(named.number(weight=1.0))) == hash_rubric(Rubric(named.number(weight=1.0)))


def test_the_weights_count_to_the_last_digit():
    rubrics = [Rubric(named.number(), named.answer_tag(weight=weight)) for weight in (0.1, 0.1, 0.10001)]
    first, same, other = map(hash_rubric, rubrics)
    assert first == same != other
