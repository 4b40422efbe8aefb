"""Steps on lists: what programs that make them are tested on."""

import random

from palaestra.tasks.common.list_steps import draw_steps, draw_tests, run, write_calls, write_code


def test_the_calls_of_a_chain_are_those_of_its_code():
    for seed in range(20):
        rng = random.Random(seed)
        steps, inputs = draw_steps(rng, 3, 30), draw_tests(rng, 6, 2, 9, 50)
        assert [2 <= len(each) <= 9 for each in inputs] == [True] * 5 + [False]
        assert inputs[-1] == []
        calls = write_calls(inputs, [run(steps, each) for each in inputs])
        function = eval(f"lambda x: {write_code(steps)}")  # of our own making
        assert all(function(*call["args"]) == call["expected"] for call in calls)
