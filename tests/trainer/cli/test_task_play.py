"""`palaestra task play`: scripted hands at the terminal."""

import builtins
from pathlib import Path

import pytest
from palaestra import tasks
from palaestra.trainer.cli.main import main
from palaestra.trainer.cli.task_play import read_turn


@pytest.fixture
def hands(monkeypatch, capsys):
    """Play with these lines; what ends them is raised. Returns the exit status and what was shown."""

    def play(*lines, end=EOFError, name="number_guess", flags=("--level", "1")):
        left = iter(lines)

        def ask(_prompt=""):
            line = next(left, None)
            if line is None:
                raise end
            return line

        monkeypatch.setattr(builtins, "input", ask)
        return main(["task", "play", name, *flags]), capsys.readouterr().out

    return play


PROBLEM = tasks.get("number_guess").problem("test", 0, level=1)
SECRET = PROBLEM.reference["number"]


def test_the_one_who_guesses_it_wins(hands):
    status, shown = hands("so what", str(SECRET - 1), str(SECRET))
    assert status == 0
    assert PROBLEM.text in shown
    assert "one whole number a turn" in shown
    assert "Higher. 2 turns are left." in shown
    assert shown.endswith(
        "Ended (stop) after 3 turns. Reward 1, passed.\nreached: correct. The number is guessed.\n"
    )


def test_leaving_is_clean_and_is_scored(hands):
    status, shown = hands("1")
    assert (status, "Left by Ctrl-D after 1 turn. Reward 0, not passed." in shown) == (0, True)
    status, shown = hands("1", end=KeyboardInterrupt)
    assert (status, "Left by Ctrl-C after 1 turn. Reward 0, not passed." in shown) == (130, True)
    status, shown = hands()
    assert (status, "Left by Ctrl-D. Reward 0, not passed." in shown) == (0, True)


def test_other_problems_are_chosen_by_level_seed_split_and_place(hands):
    _, shown = hands(flags=("--level", "2", "--seed", "3", "--split", "train", "--index", "5"))
    assert tasks.get("number_guess").problem("train", 5, 3, 2).text in shown
    assert main(["task", "play", "number_guess", "--level", "9"]) == 2


def test_a_task_with_a_single_turn_takes_one_answer(hands):
    task = tasks.get("gcd")
    problem = task.problem("test", 0, level=1)
    status, shown = hands(task.solution(problem), name="gcd")
    assert (status, "Ended (stop). Reward 1, passed." in shown) == (0, True)


def test_a_fenced_block_is_one_turn():
    lines = iter(["```python", "x = 1", "```", "next"])
    assert read_turn(lambda _prompt: next(lines)) == "```python\nx = 1\n```"
    assert read_turn(lambda _prompt: next(lines)) == "next"


def test_a_place_beyond_a_data_set_is_a_sentence(capsys):
    data = str(Path(__file__).parents[2] / "fixtures" / "aime24.jsonl")
    assert main(["task", "play", "aime24", "--data", data, "--index", "5000", "--split", "test"]) == 2
    assert "--index 0 to" in capsys.readouterr().err


def test_what_a_turn_earns_is_shown(hands, tmp_path):
    example = Path(__file__).parents[3] / "examples" / "own_episode.py"
    paying = example.read_text().replace("guess = said.strip()", "guess, self.reward = said.strip(), 0.25")
    (tmp_path / "paying.py").write_text(paying)
    _, shown = hands("no number", name=str(tmp_path / "paying.py"), flags=())
    assert "(Earned 0.25.)\nworld, turn 1\n  | Say a number." in shown
