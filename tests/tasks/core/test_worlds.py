"""Worlds in processes of their own: what hangs, dies or swells there costs its own episode alone."""

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from palaestra.tasks import Problem, UserError
from palaestra.tasks.core.episode import EpisodeLimits
from palaestra.tasks.core.modules import load_module
from palaestra.tasks.core.worlds import Worlds

PROBLEM = Problem("Which number?", "7", {"pair": (1, 2)}, id="guess/test/0")
PATIENT, BRISK = EpisodeLimits(reply_seconds=60), EpisodeLimits(reply_seconds=2.0)


def make_world(hangs: bool = False):
    """A world of a closure, which no import finds."""

    class Counting:
        def __init__(self, problem):
            assert problem.metadata["pair"] == (1, 2)
            self.state = []

        def reply(self, said):
            if said == "hang" or hangs:
                time.sleep(600)
            if said == "die" or self.state[-1:] == [["die next", os.getpid()]]:
                os._exit(1)
            if said == "swell":
                self.ballast = [0] * (1 << 30)
            self.state.append([said, os.getpid()])
            self.reward = len(self.state) / 4
            return f"{len(self.state)}: {said}"

    return Counting


@pytest.fixture(scope="module")
def worlds():
    with Worlds(workers=2) as made:
        yield made


def test_an_episode_stays_in_its_process_and_hears_all_again_in_another(worlds):
    world, said = make_world(), ["a", "b"]
    first, second = (worlds.answer(world, PROBLEM, PATIENT, "one", said[:n]) for n in (1, 2))
    assert (first.text, second.text) == ("1: a", "2: b")
    pids = [pid for _, pid in second.state]
    assert pids[0] == pids[1] != os.getpid()
    os.kill(pids[0], 9)
    third = worlds.answer(world, PROBLEM, PATIENT, "one", [*said, "c"])
    assert third.text == "3: c"
    assert [reply.reward for reply in (first, second, third)] == [0.25, 0.5, 0.75]
    assert [text for text, _ in third.state] == ["a", "b", "c"]
    assert pids[0] not in [pid for _, pid in third.state]


@pytest.mark.parametrize(("words", "fault"), [("hang", "timeout"), ("die", "raised"), ("swell", "raised")])
def test_words_that_end_a_process_count_against_them(worlds, words, fault):
    world = make_world()
    limits = BRISK if words == "hang" else PATIENT
    reply = worlds.answer(world, PROBLEM, limits, words, [words])
    assert reply.fault == fault
    assert reply.reason.startswith("The world")
    assert worlds.answer(world, PROBLEM, PATIENT, f"{words} after", ["a"]).text == "1: a"


def test_words_that_end_the_process_a_turn_later_count_against_them(worlds):
    said = ["die next", "a"]
    assert worlds.answer(make_world(), PROBLEM, PATIENT, "later", said[:1]).text == "1: die next"
    assert worlds.answer(make_world(), PROBLEM, PATIENT, "later", said).fault == "raised"


def test_a_world_that_takes_one_harmless_word_ill_is_not_at_fault(worlds):
    class Countdown:
        def __init__(self, problem):
            pass

        def reply(self, said):
            if said in ("0", "-1"):  # 0 is no start of a countdown to 1
                time.sleep(600)
            return "Lift off."

    assert worlds.answer(Countdown, PROBLEM, BRISK, "down", ["-1"]).fault == "timeout"


def test_a_world_that_hangs_whatever_is_said_abstains(worlds):
    limits = EpisodeLimits(reply_seconds=0.5)  # that no reply keeps
    assert worlds.answer(make_world(hangs=True), PROBLEM, limits, "key", ["a"]).fault == "unavailable"


def test_worlds_that_fill_their_process_cost_no_episode_a_reply():
    """Twelve open episodes of 300 MiB each, in a process that may add 2 GiB."""

    class Heavy:
        def __init__(self, problem):
            self.ballast = bytearray(300 << 20)  # of the address space alone: nothing is written

        def reply(self, said):
            return f"{len(self.ballast) >> 20} MiB"

    with Worlds(workers=1) as worlds:
        replies = [worlds.answer(Heavy, PROBLEM, PATIENT, str(key), ["a"]) for key in range(12)]
        later = worlds.answer(Heavy, PROBLEM, PATIENT, "0", ["a", "b"])
    assert {reply.text for reply in (*replies, later)} == {"300 MiB"}


def make_holding(file):
    class Holding(make_world()):
        def __del__(self):
            file.touch()

    return Holding


def test_the_world_of_an_episode_that_is_forgotten_is_let_go(worlds, tmp_path):
    file = tmp_path / "let go"
    world = make_holding(file)
    worlds.forget(world, "held")
    assert worlds.answer(world, PROBLEM, PATIENT, "held", ["a"]).text == "1: a"
    assert not file.exists()
    worlds.forget(world, "held")
    assert file.exists()
    assert worlds.answer(world, PROBLEM, PATIENT, "held", ["a", "b"]).text == "2: b"


def test_the_world_that_heard_harmless_words_is_let_go(worlds, tmp_path):
    file = tmp_path / "let go"
    assert worlds.answer(make_holding(file), PROBLEM, PATIENT, "harmless", ["die"]).fault == "raised"
    assert file.exists()


def test_replies_run_at_once(worlds):
    """Two that wait for each other's file."""

    def make(folder: str):
        class Meeting:
            def __init__(self, problem):
                pass

            def reply(self, said):
                Path(folder, said).touch()
                while len(list(Path(folder).iterdir())) < 2:
                    time.sleep(0.01)
                return "met"

        return Meeting

    keys = ["a", next(key for key in "bcdefgh" if worlds.find_place(key) != worlds.find_place("a"))]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as threads:
        world = make(folder)
        asked = [threads.submit(worlds.answer, world, PROBLEM, PATIENT, key, [key]) for key in keys]
        assert [one.result().text for one in asked] == ["met", "met"]


def test_a_world_of_a_file_is_found_by_its_path(worlds, tmp_path):
    path = tmp_path / "my_world.py"
    path.write_text(
        "class World:\n    def __init__(self, p): pass\n    def reply(self, said): return said * 2\n"
    )
    world = load_module(path, "task").World
    assert worlds.answer(world, PROBLEM, PATIENT, "key", ["ab"]).text == "abab"
    path.write_text("raise OSError('gone')\n")
    with Worlds(workers=1) as fresh, pytest.raises(UserError, match="can't be loaded"):
        fresh.answer(world, PROBLEM, PATIENT, "key", ["ab"])
