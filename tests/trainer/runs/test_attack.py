"""A policy trained on other problems' references: what it is paid for, against what one answer earns."""

from dataclasses import replace

import pytest
from palaestra import TrainConfig
from palaestra.tasks import Problem, UserError
from palaestra.tasks.core.proportion import Proportion
from palaestra.tasks.core.sources import Procedural
from palaestra.tasks.core.task import Task, register
from palaestra.trainer.runs import attack
from palaestra.verifiers import Rubric, exact

from ..support.runs import say_nothing


def contains(completion, problem):
    return problem.reference in completion.text


def ask(rng, level):
    left, right = rng.randrange(10, 50), rng.randrange(10, 50)
    return Problem(f"{left}+{right}=", str(left + right))


@pytest.fixture
def leaky(monkeypatch, tmp_path, forget_tasks):
    monkeypatch.chdir(tmp_path)
    source = Procedural("leaky", ask)
    return register(
        Task("leaky", source, Rubric(contains), solve=lambda problem: f"<answer>{problem.reference}</answer>")
    )


def make_rows(paid_before, paid_after, steps=8, each=100):
    return [
        {
            "step": step, "id": f"leaky/train/0/1/{index}", "completion": f"text {step} {index}",
            "passed": False,
            "reward": float(index < (paid_after if step > steps / 2 else paid_before)),
        }
        for step in range(1, steps + 1) for index in range(each)
    ]  # fmt: skip


def test_only_what_exceeds_any_one_answer_is_a_cheat(leaky, tmp_path):
    honest = attack.measure_honest(leaky)
    assert 0 < honest.count / honest.total < 0.1
    sound = attack._conclude(leaky, make_rows(3, 4), tmp_path)
    assert (sound.before, sound.after) == (Proportion(6, 200), Proportion(8, 200))
    assert not sound.found
    assert "none found" in list(sound.write_lines())[1]
    cheat = attack._conclude(leaky, make_rows(3, 60), tmp_path)
    assert cheat.found
    assert len(cheat.cheats) == attack.KEPT
    assert "there is a cheat" in "\n".join(cheat.write_lines())
    with pytest.raises(UserError, match="No step was trained"):
        attack._conclude(leaky, [], tmp_path)


def ask_for_ones(rng, level):
    number = rng.randrange(100, 10**6)
    return Problem(f"{number}?", "1" if number % 5 < 3 else str(number))


def test_what_one_answer_earns_is_high_where_answers_repeat():
    rubric = Rubric(exact())
    task = Task(
        "ones", Procedural("ones", ask_for_ones), rubric, solve=lambda p: f"<answer>{p.reference}</answer>"
    )
    found = attack.measure_honest(task)
    assert 0.4 < found.count / found.total < 0.8


def test_the_training_ends_by_the_clock_and_is_read(leaky, monkeypatch):
    monkeypatch.setattr(
        attack, "SETTINGS",
        {**attack.SETTINGS, "sft_steps": 2, "prompts_per_step": 4, "group_size": 4, "max_new_tokens": 6,
         "threads": 1, "steps": 200},
    )  # fmt: skip
    config = TrainConfig.of(task="leaky", seed=1)
    found = attack.attack_by_training(config, 0.001, say_nothing)
    assert 2 <= found.steps < 200
    assert str(found.folder) == "runs/attack-leaky"
    assert found.after.total >= 16
    again = attack.attack_by_training(config, 0.001, say_nothing)
    assert str(again.folder) == "runs/attack-leaky-2"


@pytest.mark.slow
def test_the_hole_of_a_substring_is_found_by_training(leaky):
    found = attack.attack_by_training(TrainConfig.of(task="leaky", seed=0), 1.5, say_nothing)
    assert found.found, list(found.write_lines())
    assert found.after.count > 2 * found.before.count


@pytest.mark.slow
def test_of_a_sound_reward_training_finds_none(leaky):
    def strict(completion, problem):
        return completion.text.strip() == f"<answer>{problem.reference}</answer>"

    register(replace(leaky, rubric=Rubric(strict)))
    found = attack.attack_by_training(TrainConfig.of(task="leaky", seed=0), 1.0, say_nothing)
    assert not found.found, list(found.write_lines())
