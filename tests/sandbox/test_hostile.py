"""The hostile battery against a real sandbox, as this user and as an ordinary one."""

import os
import shutil
import subprocess
from pathlib import Path

import hostile
import pytest
from canaries import Canaries, as_nobody, judge, python_of_everyone

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def canaries():
    made = Canaries()
    yield made
    made.close()


def test_the_battery_is_large_and_every_program_says_what_it_tries():
    tries = [program.tries for program in hostile.ALL]
    assert len(tries) >= 80
    assert len(set(tries)) == len(tries)


@pytest.mark.parametrize("program", hostile.ALL, ids=lambda program: f"{program.kind}: {program.tries}")
def test_a_hostile_program_is_held(pool, canaries, program):
    assert judge(pool, program, canaries) == ""


def test_the_judge_itself_can_find_a_breach(pool, canaries):
    held_nothing = hostile.Hostile("escape", "succeed", "def f(): return 'escaped'")
    assert "passed" in judge(pool, hostile.Hostile("hack", "solve it", "def f(x): return 2 * x"), canaries)
    assert "succeeded" in judge(pool, held_nothing, canaries)
    canaries.file.write_text("harmed")
    assert canaries.harmed() == "the file was written"
    canaries.file.write_text("sings")
    assert canaries.harmed() == "the file's rights or times were changed"
    canaries.state = canaries._state()
    assert canaries.harmed() == ""


def run_as_nobody(every: int) -> subprocess.CompletedProcess[str]:
    if os.getuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed, by which this test becomes an ordinary user")
    python = python_of_everyone()
    if python is None:
        pytest.skip("an ordinary user can start no Python 3.11 or newer here")
    script = ROOT / "tests/sandbox/support/canaries.py"
    command = [*as_nobody(), python, str(script), str(ROOT), str(every)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=120 + 600 // every)


def test_an_ordinary_user_is_as_safe_on_every_ninth_program():
    done = run_as_nobody(9)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_an_ordinary_user_is_as_safe_on_all_programs():
    done = run_as_nobody(1)
    assert done.returncode == 0, done.stdout + done.stderr
