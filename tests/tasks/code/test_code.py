"""The tasks about programs: predictions against Python itself, programs and queries in the sandbox."""

import ast
import contextlib
import io
import re

import pytest
from generated import draw, passes
from palaestra import tasks
from palaestra.sandbox import Limits, SandboxPool
from palaestra.tasks.code import code_golf, function_synthesis, sql_query
from palaestra.tasks.common.list_steps import list_steps, run, write_code
from palaestra.verifiers import Completion, Rubric, Status
from palaestra.verifiers.criteria.sql import sql

LEVELS = (1, 2, 3, 4)


@pytest.mark.parametrize("level", LEVELS)
def test_programs_print_what_is_expected(level):
    for index in range(60):
        problem = draw("program_output", index, level)
        source = re.search(r"```python\n(.+)\n```", problem.text, re.S)[1]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(source, {})  # made here, not by a model
        assert passes("program_output", problem, printed.getvalue())
        assert passes("program_output", problem, f"({printed.getvalue().strip().replace(' ', ', ')})")
        assert not passes("program_output", problem, printed.getvalue().strip() + " 0")


@pytest.mark.parametrize("level", LEVELS)
def test_binary_searches_look_where_they_say(level):
    for index in range(30):
        problem = draw("binary_search", index, level)
        numbers = [int(number) for number in re.search(r"from 0: ([\d ]+)", problem.text)[1].split()]
        wanted, left, looked_at = int(re.search(r"search for (\d+)", problem.text)[1]), numbers, []
        while left:
            middle = (len(left) - 1) // 2
            looked_at.append(left[middle])
            if left[middle] == wanted:
                break
            left = left[middle + 1 :] if left[middle] < wanted else left[:middle]
        assert passes("binary_search", problem, " ".join(map(str, looked_at)))
        assert not passes("binary_search", problem, " ".join(map(str, looked_at[:-1])))


def sort_partly(method, numbers, rounds):
    """Some rounds of a way of sorting, in place."""
    for number in range(rounds):
        if method == "bubble":
            for place in range(1, len(numbers)):
                pair = numbers[place - 1 : place + 1]
                numbers[place - 1 : place + 1] = sorted(pair)
        elif method == "insertion":
            place = number + 1
            while place and numbers[place - 1] > numbers[place]:
                numbers[place - 1], numbers[place] = numbers[place], numbers[place - 1]
                place -= 1
        elif method == "selection":
            least = numbers.index(min(numbers[number:]), number)
            numbers[number], numbers[least] = numbers[least], numbers[number]
        else:
            pivot = numbers.pop(0)
            smaller = [each for each in numbers if each < pivot]
            numbers[:] = [*smaller, pivot, *(each for each in numbers if each >= pivot)]
    return numbers


@pytest.mark.parametrize("level", LEVELS)
def test_lists_are_sorted_as_far_as_they_say(level):
    methods = set()
    for index in range(60):
        problem = draw("sort_trace", index, level)
        numbers = [int(number) for number in re.search(r"list ([\d ]+) goes", problem.text)[1].split()]
        method = re.search(r"through (?:a )?(\w+)", problem.text)[1]
        methods.add(method)
        after = sort_partly(method, numbers, int(re.search(r"after (\d+) round", problem.text)[1]))
        assert passes("sort_trace", problem, ", ".join(map(str, after))), problem.text
        assert not passes("sort_trace", problem, " ".join(map(str, after[::-1])))
    assert methods == {"bubble", "insertion", "selection", "partition"}


def test_every_step_is_what_its_code_says():
    for number, small in ((1, 2), (7, 3), (30, 5)):
        for step in list_steps(number, small):
            code = ast.unparse(ast.parse(write_code([step]), mode="eval"))
            for numbers in ([], [5], [3, -4, 30, 3, 0, -12, 7, 8, 1, 60]):
                assert eval(code, {"x": numbers}) == step.apply(numbers), step.text
    twice = [step for step in list_steps(7, 3) if step.text in ("add 7 to each", "reverse the order")]
    assert run(twice, [1, 2]) == [9, 8]


@pytest.mark.parametrize("level", LEVELS)
def test_the_examples_of_a_function_leave_one_behaviour(level):
    """Of all chains of the steps that are named, those that fit the examples pass the hidden tests."""
    for index in range(8):
        problem = draw("function_synthesis", index, level)
        named = re.findall(r"^- (.+)$", problem.text, re.M)
        shown = [
            tuple(map(ast.literal_eval, pair))
            for pair in re.findall(r"^f\((.*)\) == (.*)$", problem.text, re.M)
        ]
        length = int(re.search(r"makes (\d) of", problem.text)[1])
        assert len(shown) == function_synthesis.EXAMPLES
        assert len(named) == problem.metadata["choice"]
        numbers = {int(number) for text in named for number in re.findall(r"\d+", text)}
        known = {
            step.text: step
            for n in {1, *numbers, *(number - 1 for number in numbers)}
            for k in range(2, 6)
            for step in list_steps(n, k)
        }
        steps = [known[text] for text in named]
        chains = function_synthesis.follow(steps, length, *zip(*shown, strict=True))
        assert chains
        for chain in chains:
            for call in problem.reference["calls"]:
                assert run(chain, call["args"][0]) == call["expected"]


@pytest.fixture(scope="module")
def pool():
    with SandboxPool(2, Limits(wall_s=3)) as pool:
        yield pool


def test_golf_is_won_within_the_limit_alone():
    problem = draw("code_golf", 0, 2)
    task = tasks.get("code_golf")
    solution = problem.metadata["solution"]
    longer = solution.replace("f=lambda x:", "def f(numbers):\n    x = numbers\n    return ")
    loud = f"```python\n# {'x' * 900}\n{solution}\n```"
    won = task.score(f"```python\n{solution}\n```", problem)
    late = task.score(f"```python\n{longer}\n```", problem)
    later = task.score(loud, problem)
    wrong = task.score("```python\nf=list\n```", problem)
    packed = task.score(f"```python\n{solution}#\u00e9\n```", problem)
    assert packed.parts["code"].status is Status.MALFORMED
    assert (won.passed, won.reward) == (True, 1)
    assert [score.passed for score in (late, later, wrong)] == [False] * 3
    assert later.parts["code"].value < late.parts["code"].value < code_golf.TOO_LONG
    assert wrong.parts["code"].value == 0
    assert late.parts["code"].status is Status.PARTIAL


def judge(rubric, problem, query):
    return rubric.score(Completion(f"<answer>{query}</answer>"), problem).parts["sql"].status


@pytest.mark.parametrize("level", LEVELS)
def test_queries_are_told_from_near_misses(level, pool):
    rubric = Rubric(sql(pool=lambda: pool))
    for index in range(3):
        problem = draw("sql_query", index, level)
        for query in problem.metadata["near_misses"]:
            assert judge(rubric, problem, query) is Status.WRONG, query
        right = problem.reference["solution"]
        for query in (right, f"{right};", f"```sql\n{right}\n```", f"WITH q AS ({right}) SELECT * FROM q"):
            assert judge(rubric, problem, query) is Status.CORRECT, query


def test_a_question_names_all_that_its_query_needs():
    for level in LEVELS:
        for index in range(20):
            problem = draw("sql_query", index, level)
            words = set(re.findall(r"[A-Za-z_]+|\d+", problem.text))
            for number in re.findall(r"[<>]=? (\d+)", problem.reference["solution"].replace("COUNT(*)", "")):
                assert number in words, problem.text
            for kind in re.findall(r"'(\w+)'", problem.reference["solution"]):
                assert kind in words
    assert len(problem.reference["databases"]) == sql_query.HIDDEN
