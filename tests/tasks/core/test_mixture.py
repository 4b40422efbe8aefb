"""Several tasks as one."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from palaestra.tasks import Problem, TaskError, UnknownTask, get, mix, score
from palaestra.tasks.core.lookup import ProblemsById
from palaestra.tasks.core.mixture import Component, names_mixture, read_names
from palaestra.verifiers import Completion, Rubric, learned, number


def test_names_levels_and_weights_are_read():
    found = read_names("gsm8k:2, countdown@3:1.5,./my_task.py,reasoning_gym:chain_sum,mine.jsonl:0.5")
    assert [(each.name, each.level, each.weight) for each in found] == [
        ("gsm8k", None, 2), ("countdown", 3, 1.5), ("./my_task.py", None, 1),
        ("reasoning_gym:chain_sum", None, 1), ("mine.jsonl", None, 0.5),
    ]  # fmt: skip
    assert names_mixture("a,b")
    assert not names_mixture("a:2")


@pytest.mark.parametrize(
    ("text", "said"),
    [("gcd,,sorting", "a name is empty"), ("gcd:0,sorting", "above 0"), ("gcd:-1,sorting", "above 0"),
     ("gcd@0,sorting", "whole number"), ("gcd@x,sorting", "whole number"), ("gcd:1e999,sorting", "above 0")],
)  # fmt: skip
def test_what_is_written_wrongly_is_said(text, said):
    with pytest.raises(TaskError, match=said):
        read_names(text)


def test_problems_come_by_weight_and_each_stream_is_the_task_s_own():
    both = mix({"gcd@2": 3, "sorting": 1})
    problems = [both.problem("train", index, seed=5) for index in range(400)]
    assert Counter(problem.id.partition("/")[0] for problem in problems) == {"gcd": 300, "sorting": 100}
    alone = [get("gcd").problem("train", index, seed=5, level=2) for index in range(300)]
    assert [problem for problem in problems if problem.id.startswith("gcd/")] == alone
    assert both.splits == ("train", "test")


def test_a_data_set_begins_again_and_its_test_problems_are_all_there(monkeypatch):
    finite, other = get("gsm8k"), get("gcd")
    rows = {
        split: [Problem(f"{split} {n}", "1", id=f"gsm8k/{split}/{n}", key=f"{split}{n}") for n in range(3)]
        for split in ("train", "test")
    }

    class Few:
        splits, option_defaults = ("train", "test"), {}

        def size(self, split):
            return len(rows[split])

        def at(self, split, index, seed=0, level=None):
            return rows[split][index % 3]

    few = replace(finite, source=Few())
    both = mix([Component(few), Component(other)])
    assert [both.problem("train", index).id for index in (0, 2, 4, 6)] == [
        "gsm8k/train/0", "gsm8k/train/1", "gsm8k/train/2", "gsm8k/train/0",
    ]  # fmt: skip
    held_out = both.problems("test", 10)
    assert sum(problem.id.startswith("gsm8k") for problem in held_out) == 3
    assert len(held_out) == 10


def test_each_problem_has_the_instruction_the_rubric_and_the_solution_of_its_own_task():
    both = mix({"gcd": 1, "countdown": 1})
    for problem in both.problems("test", 6):
        own = get(problem.id.partition("/")[0])
        assert both.find_member(problem.id) is own
        assert both.find_label(problem) == own.name
        for text in (own.solution(problem), "<answer>1</answer>", "nothing"):
            assert both.score(text, problem).reward == own.score(text, problem).reward
        assert both.solution(problem) == own.solution(problem)
        rng, again = random.Random(1), random.Random(1)
        assert both.demonstration(problem, rng) == own.demonstration(problem, again)
        assert ProblemsById(both).get(problem.id) == problem
        assert score(both, own.solution(problem), problem.id).passed
    assert both.rubric.least == min(get(name).rubric.least for name in ("gcd", "countdown"))
    assert "gcd:\n" in both.rubric.describe()
    assert [each["name"] for each in both.facts["components"]] == ["gcd", "countdown"]
    with pytest.raises(TaskError, match="no task of problem"):
        both.find_member("sorting/test/0/1/0")


def test_two_levels_of_one_task_are_two_components():
    both = mix({"gcd@1": 1, "gcd@3": 2})
    labels = Counter(both.find_label(problem) for problem in both.problems("train", 30))
    assert labels == {"gcd@1": 10, "gcd@3": 20}


def with_splits(name, *splits):
    return replace(get(name), source=replace(get(name).source, splits=splits))


def test_a_task_without_a_test_split_is_trained_on_and_others_are_measured():
    both = mix([Component(with_splits("gcd", "train"), weight=3), Component(get("sorting"))])
    assert both.splits == ("train", "test")
    assert Counter(p.id.partition("/")[0] for p in both.problems("train", 8)) == {"gcd": 6, "sorting": 2}
    alone = get("sorting").problems("test", 5)
    assert both.problems("test", 5) == alone
    assert both.unmeasured == ("gcd",)
    none = mix([Component(with_splits("gcd", "train")), Component(with_splits("sorting", "train"))])
    assert (none.splits, none.unmeasured) == (("train",), ())
    assert len(none.problems("train", 4)) == 4
    with pytest.raises(TaskError, match="no split 'test'"):
        none.problem("test", 0)


def test_a_task_without_a_train_split_is_no_part_of_a_mixture():
    with pytest.raises(TaskError, match=r"gcd has no train split \(it has test\)"):
        mix([Component(with_splits("gcd", "test")), Component(get("sorting"))])


def test_what_can_t_be_mixed_is_refused():
    with pytest.raises(TaskError, match="two tasks or more"):
        mix({"gcd": 1})
    with pytest.raises(TaskError, match="twice with the same problems"):
        mix({"gcd": 1, "gcd@2": 1})
    with pytest.raises(UnknownTask, match="Did you mean gcd"):
        mix({"gcdd": 1, "sorting": 1})
    with pytest.raises(TaskError, match="above 0, not -1"):
        mix({"gcd": -1, "sorting": 1})
    both = mix({"gcd": 1, "sorting": 1})
    with pytest.raises(TaskError, match="NAME@LEVEL"):
        both.check_level(2)
    with pytest.raises(TaskError, match="belongs to one task"):
        both.with_options({"digits": 3})
    with pytest.raises(TaskError, match="no level 99"):
        mix({"gcd@99": 1, "sorting": 1}).check_level(None)

    judged = replace(get("gcd"), rubric=Rubric(number(), learned()))
    with pytest.raises(TaskError, match="reward model"):
        mix([Component(judged), Component(get("sorting"))])


def test_the_rubric_of_a_mixture_judges_by_the_problem_s_task_or_not_at_all():
    both = mix({"gcd": 1, "countdown": 1})
    problem = both.problem("test", 0)
    score = both.score(both.solution(problem), problem)
    assert both.rubric.of(problem.id).judge(score.parts, {}).reward == score.reward
    with pytest.raises(TypeError, match=r"rubric\.of"):
        both.rubric.judge(score.parts, {})
    with pytest.raises(TypeError, match=r"rubric\.of"):
        _ = both.rubric.correctness
    with pytest.raises(TaskError, match="has no task of problem ''"):
        both.rubric.score(Completion("1"), Problem("no id"))
