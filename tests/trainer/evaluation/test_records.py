"""Completions with their verdicts as lines of a file, and what groups and results look like to a person."""

import json
from pathlib import Path

from palaestra.tasks import get
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.evaluation.breakdown import break_down
from palaestra.trainer.evaluation.evaluate import summarise
from palaestra.trainer.evaluation.summary import EvaluationRun
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.model.prompts import PromptFormat
from palaestra.trainer.rollouts.group import Group
from palaestra.trainer.runs.rollout_log import write_rollouts
from palaestra.verifiers import Completion

from ..support.runs import say_nothing

GCD = get("gcd")
HOSTILE = "<script>alert(1)</script>"


def make_groups(prompts: PromptFormat) -> list[Group]:
    groups = []
    for problem in GCD.problems("test", 2):
        ids = prompts.encode(problem, GCD.instruction)
        completions = [Completion(text, ids, [5]) for text in (GCD.solution(problem), HOSTILE)]
        scores = [GCD.score(completion, problem) for completion in completions]
        groups.append(Group(problem, completions, scores))
    return groups


def test_the_prompt_as_the_model_saw_it_is_on_the_first_line_of_each_group(tmp_path: Path):
    prompts = PromptFormat.of(make_character_tokenizer(), say=say_nothing)
    groups = make_groups(prompts)
    write_rollouts(tmp_path / "rollouts.jsonl", groups, prompts, 7, [0.0] * 4, {})
    rows = [json.loads(line) for line in (tmp_path / "rollouts.jsonl").read_text().splitlines()]
    rendered = [prompts.render(group.problem, GCD.instruction) for group in groups]
    assert [row.get("rendered_prompt") for row in rows] == [rendered[0], None, rendered[1], None]
    counts = [len(prompts.encode(group.problem, GCD.instruction)) for group in groups]
    assert [row["prompt_tokens"] for row in rows] == [counts[0]] * 2 + [counts[1]] * 2
    assert {row["step"] for row in rows} == {7}


def test_a_group_and_an_evaluation_show_themselves(tmp_path: Path):
    prompts = PromptFormat.of(make_character_tokenizer(), say=say_nothing)
    groups = make_groups(prompts)
    assert repr(groups[0]) == "Group('gcd/test/0/1/0', 2 completions, 1 passed, mean reward 0.5)"
    html = groups[0]._repr_html_()
    assert HOSTILE not in html
    assert "&lt;script&gt;" in html
    write_rollouts(tmp_path / "completions.jsonl", groups, prompts, 0, [0.0] * 4, {})
    result = summarise(groups, 2, 0, GCD.rubric, 1.0)
    run = EvaluationRun(result, break_down(groups, GCD.rubric, [1, 2]), tmp_path, EvalConfig.of(task="gcd"))
    assert repr(run).startswith("EvaluationRun('gcd', 2 problems, pass@1 50.0 % [")
    assert "pass@1   50.0 %" in run._repr_html_()
    assert [row["passed"] for row in run.completions()] == [True, False] * 2
    assert all(row["rendered_prompt"] for row in run.completions())
