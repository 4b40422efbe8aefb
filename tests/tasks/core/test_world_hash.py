"""The hash of a task's worlds: another one for whatever code of theirs is another, and for nothing else."""

import os
import subprocess
import sys
import textwrap

import palaestra as pal
import pytest
from palaestra.tasks.core.world_hash import find_world_file, hash_worlds
from palaestra.verifiers.fingerprint import _list_reached

OWN = '''
    from dataclasses import dataclass
    from functools import cached_property, partial, partialmethod
    import palaestra as pal

    WORDS = ["higher", "lower"]
    NEAR = 2

    class Base:
        def clean(self, said):
            return said.strip()

    def compare(number, secret):
        # says where it is
        return WORDS[number > secret]

    class Guessing(Base):
        """A world."""
        role = "user"
        most = 9

        def __init__(self, problem):
            self.secret, self.state = problem.reference, {"found": False}

        @property
        def close(self):
            return NEAR

        @cached_property
        def far(self):
            return self.close * 5

        @staticmethod
        def read(text):
            return int(text)

        def say(self, text, end="."):
            return text + end

        shout = partialmethod(say, end="!")

        def reply(self, said):
            if self.clean(said) == self.secret:
                self.state = {"found": True}
                return None
            return self.shout(compare(self.read(said), int(self.secret)))

    @dataclass(frozen=True, slots=True)
    class Factory:
        size: int = 4

        def __call__(self, problem):
            return Guessing(problem)

    def add(first: int, second: int = 1) -> int:
        """The sum of two numbers.

        first: the one.  second: the other.
        """
        return carry(first + second)

    def carry(number):
        return number % 1000

    def found(completion, problem):
        return completion.state == {"found": True}

    def player(problem):
        yield problem.reference

    @pal.task("WORLD", rubric=pal.Rubric(found), EPISODE, limits=pal.EpisodeLimits(turns=6))
    def made(rng, level):
        """Guess."""
        yield pal.Problem("Guess.", str(rng.randint(1, 9)))
'''
AS = {
    "class": "episode=Guessing, player=player",
    "instance": "episode=Factory(4), player=player",
    "partial": "episode=partial(Guessing), player=player",
    "function": "episode=lambda problem: Guessing(problem), player=player",
    "tools": "tools=[add, pal.tools.calculator]",
}


def run_code(text: str, kind: str = "class") -> str:
    """The hash of the worlds of a task that no file holds."""
    space: dict = {"__name__": "__main__"}
    exec(textwrap.dedent(text.replace("EPISODE", AS[kind]).replace("WORLD", f"made_{kind}")), space)
    return hash_worlds(space["made"])


WORLD = ("class", "instance", "partial", "function")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return None", "return ''"),
        ("number > secret", "number >= secret"),
        ('["higher", "lower"]', '["up", "down"]'),
        ("said.strip()", "said"),
        ("most = 9", "most = 8"),
        ('role = "user"', 'role = "tool"'),
        ("return NEAR", "return NEAR + 1"),
        ("NEAR = 2", "NEAR = 3"),
        ("self.close * 5", "self.close * 6"),
        ("int(text)", "int(text, 8)"),
        ('end="!"', 'end="?"'),
        ('{"found": False}', '{"found": 0}'),
        ("turns=6", "turns=7"),
        ("turns=6", "turns=6, observation_chars=50"),
    ],
)
@pytest.mark.parametrize("kind", WORLD)
def test_whatever_a_world_reaches_is_in_its_hash(kind: str, old: str, new: str):
    assert OWN.count(old) == 1 or old == "NEAR = 2"
    assert run_code(OWN, kind) != run_code(OWN.replace(old, new), kind)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("The sum of two numbers.", "The sum of numbers."),
        ("first: the one.", "first: a number."),
        ("second: int = 1", "second: int = 2"),
        ("first: int,", "first: float,"),
        ("def add(first: int", "def add(*, first: int"),
        ("first + second", "first - second"),
        ("number % 1000", "number % 100"),
        (", pal.tools.calculator]", "]"),
        ("turns=6", "turns=7"),
    ],
)
def test_whatever_a_tool_is_told_as_and_reaches_is_in_the_hash(old: str, new: str):
    source = OWN.replace("EPISODE", AS["tools"])
    assert old in source
    assert run_code(source) != run_code(source.replace(old, new))


SLOTTED = """
    import palaestra as pal

    WAYS = {"north", "south", "east", "west", ("up", 1)}

    class Factory:
        __slots__ = ("__size",)

        def __init__(self, size):
            self.__size = size

        def __call__(self, problem):
            self.known = {way: {"a", "b"} for way in ("x", "y")}

        def reply(self, said):
            return None if said in WAYS or said in {"no", "yes", "perhaps"} else "on"

    @pal.task("made_slotted", rubric=pal.Rubric(lambda said, problem: True), episode=Factory(4))
    def made(rng, level):
        yield pal.Problem("Go.", "1")
"""


def test_a_slot_with_a_private_name_is_in_the_hash():
    assert run_code(SLOTTED) != run_code(SLOTTED.replace("Factory(4)", "Factory(5)"))


def test_the_hash_is_the_same_in_processes_of_other_orders_of_sets():
    last = "from palaestra.tasks.core.world_hash import hash_worlds\nprint(hash_worlds(made))"
    code = f"{textwrap.dedent(SLOTTED)}\n{last}"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {f"{run_code(SLOTTED)}\n"}


def test_the_parameters_of_a_factory_are_in_the_hash():
    source = OWN.replace("EPISODE", AS["instance"])
    assert run_code(source) != run_code(source.replace("Factory(4)", "Factory(5)"))


@pytest.mark.parametrize("kind", [*WORLD, "tools"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("yield problem.reference", "yield '5'"),  # the player
        ("# says where it is", "# another word"),
        ('"""A world."""', '"""Another docstring."""'),
        ('"""Guess."""', '"""Guess it."""'),
        ("Guess.", "Guess!"),  # the problems
        ("completion.state ==", "completion.state !="),  # the rubric, which has a hash of its own
        ("def player", "def unused(): return 7\n\n    def player"),
    ],
)
def test_what_is_no_part_of_a_world_does_not_change_it(kind: str, old: str, new: str):
    assert old in OWN
    assert run_code(OWN, kind) == run_code(OWN.replace(old, new), kind)


def test_playing_does_not_change_it():
    space: dict = {"__name__": "__main__"}
    exec(textwrap.dedent(OWN.replace("EPISODE", AS["class"]).replace("WORLD", "made_played")), space)
    before = hash_worlds(space["made"])
    pal.play(space["made"], space["made"].problem("test", 0))
    assert hash_worlds(space["made"]) == before


def test_bundled_worlds_have_hashes_of_their_own_and_files():
    names = ["number_guess", "wordle", "maze", "calculator", "python_tool", "frozen_lake"]
    hashes = {hash_worlds(pal.tasks.get(name)) for name in names}
    assert len(hashes) == len(names)
    assert all(find_world_file(pal.tasks.get(name)).endswith(".py") for name in names)
    assert hash_worlds(pal.tasks.get("gcd")) == ""


def test_a_world_made_of_a_bundled_one_counts_its_code():
    reached = _list_reached("palaestra.tasks.worlds.maze")
    assert {"palaestra.tasks.worlds.maze", "palaestra.tasks.common.mazes"} <= reached
    assert not any(name.startswith("palaestra.tasks.core") for name in reached)
