"""Environments of verifiers as episodes, against the package itself."""

import asyncio
import signal
import sys
import textwrap

import pytest
from palaestra import UserError, play, tasks
from palaestra.tasks.core.episode import World

# From this folder's parent the name is that of a room of the package: run the test from another folder.
library = pytest.importorskip("verifiers", reason="the package verifiers is not installed")
if not hasattr(library, "SingleTurnEnv"):
    pytest.skip("this verifiers has no environments with rubrics", allow_module_level=True)

ENVIRONMENTS = {
    "sums_env": '''
        async def right(completion, answer):
            if "crash" in completion[-1].content:
                raise ValueError("never")
            return float(completion[-1].content.strip() == answer)

        async def short(completion):
            return float(len(completion[-1].content) < 4)

        def load_environment():
            rubric = vf.Rubric(funcs=[right, short], weights=[1.0, 0.5])
            return vf.SingleTurnEnv(dataset=ROWS, system_prompt="Add.", rubric=rubric)
    ''',
    "guess_env": '''
        class Guess(vf.MultiTurnEnv):
            async def setup_state(self, state):
                state["last"] = None

            async def env_response(self, messages, state, **kwargs):
                said = messages[-1].content
                if said == "fail":
                    raise ConnectionError("gone")
                state["last"] = int(said)
                if said == state["answer"]:
                    state["final_env_response"] = [{"role": "user", "content": "right"}]
                    return state["final_env_response"]
                far = "higher" if int(said) < int(state["answer"]) else "lower"
                return [{"role": "user", "content": far}]

        async def found(state):
            return float(str(state["last"]) == state["answer"])

        def load_environment():
            return Guess(dataset=ROWS, eval_dataset=ROWS, rubric=vf.Rubric(funcs=[found]), max_turns=5)
    ''',
    "tools_env": '''
        def double(number: int) -> int:
            """Twice a number.

            Args:
                number: to be doubled.
            """
            return 2 * number

        async def right(completion, answer):
            return float(completion[-1].content == answer)

        def load_environment():
            return vf.ToolEnv(dataset=ROWS, tools=[double], rubric=vf.Rubric(funcs=[right]), max_turns=4)
    ''',
    "group_env": '''
        async def best(completions):
            return [1.0 for _ in completions]

        def load_environment():
            return vf.SingleTurnEnv(dataset=ROWS, rubric=vf.Rubric(funcs=[best]))
    ''',
    "downlater_env": '''
        class Talk(vf.MultiTurnEnv):
            async def env_response(self, messages, state, **kwargs):
                answer = [{"role": "user", "content": "go on"}]
                if messages[-1].content == "stop":
                    state["final_env_response"] = answer
                return answer

        async def judge(completion):
            raise ConnectionError("the judge is down")

        def load_environment():
            return Talk(dataset=ROWS, rubric=vf.Rubric(funcs=[judge]), max_turns=5)
    ''',
    "down_env": '''
        async def judge(completion):
            raise ConnectionError("the judge is down")

        def load_environment():
            return vf.SingleTurnEnv(dataset=ROWS, rubric=vf.Rubric(funcs=[judge]))
    ''',
}  # fmt: skip
HEAD = """
import verifiers as vf
from datasets import Dataset

ROWS = Dataset.from_list([{"question": f"{n} + {n}?", "answer": str(2 * n)} for n in range(40)])
"""


@pytest.fixture(autouse=True, scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("environments")
    for name, body in ENVIRONMENTS.items():
        (folder / f"{name}.py").write_text(HEAD + textwrap.dedent(body))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(folder), *sys.path])
        yield


def say(*turns):
    def player(_problem):
        for turn in turns:  # noqa: UP028 - a tuple's iterator hears nothing
            yield turn

    return player


def test_a_single_turn_is_judged_by_its_rubric_weighed_to_one():
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    task = tasks.get("verifiers:sums-env")
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
    problem = task.problem("train", 0)
    assert [each["role"] for each in problem.prompt] == ["system", "user"]
    answer = problem.reference["row"]["answer"]
    assert task.score(play(task, problem, say(answer)), problem).passed
    assert task.score(play(task, problem, say("999")), problem).reward == pytest.approx(1 / 3)
    train, test = ({each.text for each in task.problems(split)} for split in ("train", "test"))
    assert len(train) + len(test) == 40
    assert not train & test


def test_a_judge_that_is_down_at_the_end_of_turns_abstains():
    task = tasks.get("verifiers:downlater-env")
    world = World(task.episode, task.problem("train", 0))
    assert world.answer("6").text == "go on"
    assert world.answer("stop").fault == "unavailable"


def test_it_is_played_where_a_loop_runs_already_as_in_a_notebook():
    async def cell():
        task = tasks.get("verifiers:sums-env")
        problem = task.problem("train", 0)
        return task.score(play(task, problem, say(problem.reference["row"]["answer"])), problem)

    assert asyncio.run(cell()).passed


def test_turns_are_those_of_the_environment():
    task = tasks.get("verifiers:guess-env")
    problem = task.problem("test", 3)
    won = play(task, problem, say("1", "9", "6"))
    assert [turn.text for turn in won.turns] == ["1", "higher", "9", "lower", "6"]
    assert (task.score(won, problem).reward, won.finish_reason) == (1.0, "stop")
    lost = play(task, problem, say(*"12345"))
    assert (task.score(lost, problem).reward, lost.state["ended"]) == (0.0, "max_turns_reached")


def test_tools_are_called_in_the_forms_that_models_write():
    task = tasks.get("verifiers:tools-env")
    problem = next(each for each in task.problems("train") if each.reference["row"]["answer"] == "42")
    assert problem.tools[0]["function"]["name"] == "double"
    call = '<tool_call>{"name": "double", "arguments": {"number": %s}}</tool_call>'
    done = play(task, problem, say(call % '"x"', call % 21, "42"))
    assert [turn.role for turn in done.turns] == ["policy", "world", "policy", "world", "policy"]
    assert "must be a whole number" in done.turns[1].text
    assert (done.turns[3].text, done.turns[3].voice) == ("42", "tool")
    assert task.score(done, problem).passed


@pytest.mark.parametrize(
    ("name", "said", "fault"),
    [("guess", "fail", "raised"), ("guess", "six", "raised"), ("sums", "crash", "raised"),
     ("down", "6", "unavailable")],
)  # fmt: skip
def test_what_raises_is_no_reward(name, said, fault):
    """Not even in a reward function, which verifiers itself takes for 0."""
    task = tasks.get(f"verifiers:{name}-env")
    assert World(task.episode, task.problem("train", 0)).answer(said).fault == fault


@pytest.mark.parametrize(("name", "says"), [("nope-env", "can't load"), ("group-env", "a group together")])
def test_what_can_not_be_served_is_refused(name, says):
    with pytest.raises(UserError, match=says):
        tasks.get(f"verifiers:{name}")
