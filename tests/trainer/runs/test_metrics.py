"""The numbers of a step: verdicts, dead groups, lengths, the shadow rubric."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from palaestra.tasks import get
from palaestra.tasks.core.mixture import Component, MixedRubric, mix
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.runs.metrics import measure_rewards, measure_shadow, score_shadow
from palaestra.verifiers import Rubric, Turn, answer_tag, exact, learned, number

from ..support.groups import DEAD, LIVE, TASK, make_group


def test_step_metrics_count_verdicts_dead_groups_and_lengths():
    metrics = measure_rewards([make_group(LIVE, 0), make_group(DEAD, 1)], TASK, TrainConfig())
    assert (metrics["pass_rate"], metrics["dead_groups"], metrics["truncated"], metrics["extracted"]) == (
        0.25,
        0.5,
        0.0,
        0.25,
    )
    assert metrics["criteria"]["number"] == {
        "mean": 0.25,
        "std": pytest.approx(0.433, abs=1e-3),
        "weight": pytest.approx(1 / 1.1),
        "statuses": {"correct": 1, "no_answer": 3},
    }
    assert metrics["tokens"] == 2.0


def test_what_a_limit_of_tokens_cut_is_truncated_and_an_episode_of_many_turns_is_not():
    groups = [make_group(LIVE, index, finish) for index, finish in enumerate(["length", "tokens", "turns"])]
    groups.append(make_group(LIVE, 3))
    metrics = measure_rewards(groups, TASK, TrainConfig())
    assert (metrics["truncated"], metrics["tokens_ended"]) == (0.5, 2.0)


def test_what_turns_earn_is_averaged_by_their_number_over_the_episodes_that_have_it():
    group = make_group(["RIGHT", "no", "no"])
    turns = (Turn("policy", "a"), Turn("world", "b"), Turn("policy", "c"))
    played = [replace(completion, turns=turns) for completion in group.completions_G]
    earned = [(0.5, 0.25), (0.0,), ()]
    scores = [replace(s, by_turn=each) for s, each in zip(group.scores_G, earned, strict=True)]
    scores[2] = replace(scores[2], abstained=True)
    paid = replace(group, completions_G=played, scores_G=scores)
    metrics = measure_rewards([paid], TASK, TrainConfig())
    assert metrics["episodes"]["turn_rewards"] == {"1": 0.25, "2": 0.25}
    unpaid = replace(paid, scores_G=group.scores_G)
    assert "turn_rewards" not in measure_rewards([unpaid], TASK, TrainConfig())["episodes"]
    assert "episodes" not in measure_rewards([group], TASK, TrainConfig())


def test_each_task_of_a_mixture_is_measured_by_its_own_rubric():
    sorting = get("sorting")
    groups = [make_group(LIVE, 0), make_group(LIVE, 0, task=sorting)]
    judged = replace(sorting, rubric=Rubric(learned()))
    rubric = MixedRubric({task.name: task.rubric for task in (TASK, judged)})
    both = replace(
        mix({"gcd": 1, "sorting": 1}), components=(Component(TASK), Component(judged)), rubric=rubric
    )
    metrics = measure_rewards(groups, both, TrainConfig())
    assert "pass_rate" not in metrics
    assert metrics["tasks"]["gcd"]["pass_rate"] == 0.5
    assert "pass_rate" not in metrics["tasks"]["sorting"]


def test_the_shadow_rubric_sees_what_the_reward_is_fooled_by():
    lenient = Rubric(exact(), answer_tag(weight=0.0))
    task = replace(TASK, rubric=lenient)
    fooled = make_group(["RIGHT and more", "RIGHT and more"], task=task)
    seen = measure_shadow([fooled], score_shadow([fooled], task, 1.0, 0).collect())["shadow"]
    assert seen == {"reward": 1.0, "shadow_reward": 0.0, "gap": 1.0, "completions": 2}
    own = replace(task, shadow=Rubric(number()))
    assert measure_shadow([fooled], score_shadow([fooled], own, 1.0, 0).collect())["shadow"]["gap"] == 0.0
    assert measure_shadow([fooled], score_shadow([fooled], task, 0.0, 0).collect()) == {}
    many = [make_group(["RIGHT"] * 10, index, task=task) for index in range(40)]
    assert 60 < len(score_shadow(many, task, 0.25, 0).collect()) < 140


def test_the_shadow_rubric_is_asked_beside_what_follows():
    asked, going = threading.Semaphore(0), threading.Event()

    def check(completion, problem):
        asked.release()
        return going.wait(600)

    task = replace(TASK, shadow=Rubric(check))
    group = make_group(["RIGHT", "RIGHT and more"], task=task)
    with ThreadPoolExecutor(2) as pool:
        shadow = score_shadow([group], task, 1.0, 0, pool.submit)
        assert asked.acquire(timeout=600)  # in place of an update: it is reached while both verifiers wait
        assert asked.acquire(timeout=600)
        going.set()
        assert shadow.collect() == {0: 1.0, 1: 1.0}
