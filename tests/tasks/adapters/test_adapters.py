"""Tasks and rubrics in the calling conventions of other tools, without those tools."""

import asyncio
import json
import threading
from types import SimpleNamespace

import pytest
from palaestra.tasks import Problem, TaskError, UserError, get, task
from palaestra.tasks.adapters import as_dataset, inspect_scorer, lm_eval_task, trl_reward, verifiers_rubric
from palaestra.tasks.adapters.rows import RowScorer, import_tool, read_text
from palaestra.verifiers import Completion, Criterion, Rubric, number
from palaestra.verifiers.criteria.choice import choice
from palaestra.verifiers.types import Unavailable, correct

RIGHT, WRONG = "<answer>6</answer>", "<answer>5</answer>"


pytestmark = pytest.mark.usefixtures("forget_tasks")


def fail_to_reach(completion: Completion, problem: Problem):
    raise Unavailable("The service is down.")


DOWN = Rubric(Criterion("down", fail_to_reach))


def say_nothing(_line: str) -> None:
    pass


def test_trl_passes_texts_or_messages_and_columns():
    reward = trl_reward("gcd")
    assert reward.__name__ == "gcd"
    columns = {"reference": ["6"] * 2, "trainer_state": object(), "completion_ids": [[1], [2]]}
    columns |= {"log_extra": print, "note": ["a", "b"]}
    assert reward(prompts=["?"] * 2, completions=[RIGHT, WRONG], **columns) == [1.0, pytest.approx(1 / 11)]
    calls = [
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": WRONG},
        {"role": "assistant", "content": RIGHT},
    ]
    assert reward(prompts=["?"] * 2, completions=[calls, [{"content": WRONG}]], **columns)[0] == 1.0
    assert reward(prompts=[], completions=[], reference=[]) == []


def test_a_rubric_alone_reads_what_it_needs_of_the_columns():
    reward = trl_reward(Rubric(choice()))
    columns = {"answer": ["B", 0], "choices": [["Rome", "Paris"]] * 2, "prompts": ["Capital?"] * 2}
    assert reward(completions=["<answer>Paris</answer>", "<answer>B</answer>"], **columns) == [1.0, 0.0]


def test_the_rows_of_a_data_set_are_found_again_by_their_ids():
    rows, gcd = as_dataset("gcd", count=3, seed=5), get("gcd")
    problems = gcd.problems("train", 3, seed=5)
    assert [RowScorer("gcd", False, say_nothing).find(row) for row in rows] == problems
    assert all(
        problem.text in row["prompt"][-1]["content"] for problem, row in zip(problems, rows, strict=True)
    )
    assert rows["reference"] == [problem.reference for problem in problems]
    columns = {name: rows[name] for name in rows.column_names if name != "prompt"}
    solutions = [gcd.solution(problem) for problem in problems]
    assert trl_reward("gcd")(prompts=rows["prompt"], completions=solutions, **columns) == [1.0] * 3
    assert as_dataset("gcd", count=1, chat=False)[0]["prompt"].startswith("What is the greatest")


def test_references_that_are_no_texts_and_metadata_come_back():
    @task(
        "pairs", rubric=Rubric(lambda completion, problem: completion.text == str(problem.reference["sum"]))
    )
    def pairs(rng, level):
        a = rng.randrange(1000)
        yield Problem(f"{a} + 1", {"sum": a + 1, "parts": [a, 1]}, {"hard": None, "n": a})

    row = as_dataset(pairs, count=1, chat=False)[0]
    problem = pairs.problems("train", 1)[0]
    assert json.loads(row["reference"]) == problem.reference
    assert RowScorer(pairs, False, say_nothing).find(row) == problem
    foreign = {**row, "id": None, "reference": "7", "topic": "sums"}
    found = RowScorer(pairs, False, say_nothing).find(foreign)
    assert (found.reference, found.metadata) == ("7", {**problem.metadata, "topic": "sums"})


def test_the_coroutine_scores_at_once():
    barrier = threading.Barrier(3, timeout=60)  # passed only by three checks at one time

    def wait(completion, problem):
        barrier.wait()
        return correct()

    reward = trl_reward(Rubric(Criterion("wait", wait)), asynchronous=True)
    assert asyncio.iscoroutinefunction(reward)
    assert asyncio.run(reward(prompts=["?"] * 3, completions=["x"] * 3, reference=["1"] * 3)) == [1.0] * 3


def test_what_abstains_is_none_and_rows_without_a_problem_are_refused():
    assert trl_reward(DOWN)(prompts=["x"], completions=["6"], reference=["6"]) == [None]
    with pytest.raises(TaskError, match="names no problem of task gcd; its columns are prompt"):
        trl_reward("gcd")(prompts=["x"], completions=["6"])


def test_a_config_for_the_harness_scores_its_rows():
    config = lm_eval_task("gcd", count=2)
    rows = config["custom_dataset"]()["test"]
    assert config["process_results"](rows[0], [rows[0]["reference"]])["passed"] == 0.0
    assert config["doc_to_text"](rows[0]).endswith("Give your final answer as <answer>...</answer>.")
    average = config["metric_list"][0]["aggregation"]
    down = lm_eval_task(DOWN)["process_results"]({"reference": "1"}, ["x"])
    assert average([1.0, 0.0, down["passed"]]) == 0.5
    assert str(average([down["reward"]])) == "nan"


def test_messages_may_be_objects():
    assert (
        read_text([SimpleNamespace(role="user", content="a"), SimpleNamespace(role="assistant", content="b")])
        == "b"
    )


@pytest.mark.parametrize(
    ("adapter", "package"),
    [(verifiers_rubric, "verifiers<0.2"), (inspect_scorer, "inspect_ai")],
)
def test_a_tool_that_is_not_installed_is_a_sentence(adapter, package, monkeypatch):
    def absent(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("palaestra.tasks.adapters.rows.import_module", absent)
    with pytest.raises(UserError, match=rf"No module named .*\. Install it: pip install '?{package}"):
        adapter(Rubric(number()))
    with pytest.raises(UserError, match="pip install there"):
        import_tool("there.part")


def test_a_verifiers_without_rubrics_is_a_sentence(monkeypatch):
    monkeypatch.setattr("palaestra.tasks.adapters.rows.import_module", lambda name: SimpleNamespace())
    with pytest.raises(UserError, match="has no environments with rubrics"):
        verifiers_rubric("gcd")
