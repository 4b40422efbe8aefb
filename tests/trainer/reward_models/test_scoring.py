"""What a reward model says becomes scores, whatever it says."""

import math
from dataclasses import replace

from palaestra.tasks import Problem
from palaestra.tasks.core import registry
from palaestra.trainer.reward_models.scoring import fill
from palaestra.verifiers import Completion, Rubric, Score, learned


def test_a_reward_model_that_gives_one_completion_no_number_gives_it_the_least():
    problem, answers = Problem("p"), [Completion("a"), Completion("b")]
    task = replace(registry.get("ice_cream"), rubric=Rubric(learned()))
    unfilled = [task.score(answer, problem) for answer in answers]

    def filled(*values: float) -> list[Score]:
        return fill(
            task,
            {"reward_model": lambda problems, completions: list(values)},
            [problem] * 2,
            answers,
            unfilled,
        )

    odd, even = filled(math.nan, 0.0)
    assert not odd.abstained
    assert odd.reward < 1e-4 < even.reward
    assert all(score.abstained for score in filled(math.nan, math.inf))
