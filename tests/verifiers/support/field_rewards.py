"""Reward functions as people write them for TRL (its documentation, open-r1, notebooks) and for `verifiers`:
each runs unchanged. CASES says what each gives for what completion."""

# ruff: noqa: B905 - as people write them

from __future__ import annotations

import asyncio
import functools
import math
import re
from dataclasses import dataclass
from typing import Any

CHAT = [{"role": "system", "content": "Think."}, {"role": "user", "content": "What is 40 + 2?"}]
TEXT = "What is 40 + 2?"


# TRL's documentation
def reward_len(completions, **kwargs):
    return [-abs(20 - len(completion)) for completion in completions]


def reward_num_unique_letters(completions, **kwargs):
    completion_contents = [completion[0]["content"] for completion in completions]
    return [float(len(set(content))) for content in completion_contents]


def reward_long_completions(completion_ids, **kwargs):
    return [float(len(ids)) for ids in completion_ids]


def format_reward_func(completions, **kwargs):
    pattern = r"^<think>.*?</think><answer>.*?</answer>$"
    completion_contents = [completion[0]["content"] for completion in completions]
    matches = [re.match(pattern, content) for content in completion_contents]
    return [1.0 if match else 0.0 for match in matches]


def reward_boxed(completions, ground_truth, **kwargs):
    matches = [re.search(r"\\boxed\{(.*?)\}", completion) for completion in completions]
    contents = [match.group(1) if match else "" for match in matches]
    return [1.0 if c == gt else 0.0 for c, gt in zip(contents, ground_truth)]


def math_reward_func(prompts, completions, task, **kwargs):
    rewards = []
    for _prompt, completion, t in zip(prompts, completions, task):
        rewards.append(float("42" in completion) if t == "math" else None)
    return rewards


def coding_reward_func(prompts, completions, task, **kwargs):
    return [float("def" in c) if t == "coding" else None for c, t in zip(completions, task)]


async def async_reward(prompts, completions, **kwargs):
    async def one(completion):
        await asyncio.sleep(0)
        return 0.5 if "4" in completion else 0.0

    return await asyncio.gather(*(one(completion) for completion in completions))


class AsyncJudge:
    async def __call__(self, prompts, completions, trainer_state=None, **kwargs):
        await asyncio.sleep(0)
        return [1.0 for _ in completions]


def everything(prompts, completions, completion_ids, trainer_state, solution, log_extra=None, **kwargs):
    if log_extra:
        log_extra("solution", solution)
    assert len(prompts) == len(completions) == len(completion_ids) == len(solution) == 1
    return [1.0]


class SoftOverlong:
    __name__ = "soft_overlong_punishment_reward"

    def __call__(self, completion_ids: list[list[int]], **kwargs) -> list[float]:
        return [0.0 if len(ids) <= 4 else -1.0 for ids in completion_ids]


# open-r1
def accuracy_reward(
    completions: list[list[dict[str, str]]], solution: list[str], **kwargs
) -> list[float | None]:
    contents = [completion[0]["content"] for completion in completions]
    rewards = []
    for content, sol in zip(contents, solution):
        gold = re.findall(r"\d+", sol)
        if len(gold) != 0:
            answer = re.findall(r"\\boxed\{(\d+)\}", content)
            rewards.append(float(bool(answer) and answer[-1] == gold[-1]))
        else:
            rewards.append(None)
    return rewards


def tag_count_reward(completions, **kwargs) -> list[float]:
    def count_tags(text: str) -> float:
        count = 0.0
        for tag in ("<think>\n", "\n</think>\n", "\n<answer>\n", "\n</answer>"):
            if text.count(tag) == 1:
                count += 0.25
        return count

    contents = [completion[0]["content"] for completion in completions]
    return [count_tags(c) for c in contents]


def get_cosine_scaled_reward(min_wrong=-1.0, max_wrong=-0.5, min_right=0.5, max_right=1.0, max_len=1000):
    def cosine_scaled_reward(completions, solution, **kwargs):
        contents = [completion[0]["content"] for completion in completions]
        rewards = []
        for content, sol in zip(contents, solution):
            cosine = math.cos(len(content) / max_len * math.pi)
            low, high = (min_right, max_right) if sol in content else (max_wrong, min_wrong)
            rewards.append(float(low + 0.5 * (high - low) * (1.0 + cosine)))
        return rewards

    return cosine_scaled_reward


def code_reward(completions, num_parallel: int = 2, provider_type: str = "e2b", **kwargs) -> list[float]:
    assert (num_parallel, provider_type) == (1, "local")
    return [1.0] * len(completions)


bound_code_reward = functools.update_wrapper(
    functools.partial(code_reward, num_parallel=1, provider_type="local"), code_reward
)


# a notebook that many have started from
def extract_xml_answer(text: str) -> str:
    answer = text.split("<answer>")[-1]
    return answer.split("</answer>")[0].strip()


def correctness_reward_func(prompts, completions, answer, **kwargs) -> list[float]:
    responses = [completion[0]["content"] for completion in completions]
    q = prompts[0][-1]["content"]
    assert q == "What is 40 + 2?"
    extracted = [extract_xml_answer(r) for r in responses]
    return [2.0 if r == a else 0.0 for r, a in zip(extracted, answer)]


def int_reward_func(completions, **kwargs) -> list[float]:
    responses = [completion[0]["content"] for completion in completions]
    return [0.5 if extract_xml_answer(r).isdigit() else 0.0 for r in responses]


# verifiers
def correct_answer(completion, answer) -> float:
    completion_ans = completion[-1]["content"]
    return 1.0 if completion_ans == answer else 0.0


async def async_correct_answer(completion, answer) -> float:
    await asyncio.sleep(0)
    return 1.0 if answer in completion[-1]["content"] else 0.0


def correct_answer_reward_func(parser, completion, answer, **kwargs):
    response = parser.parse_answer(completion) or ""
    return 1.0 if response.strip() == answer.strip() else 0.0


def length_reward(completion):
    return -0.001 * len(completion[-1]["content"])


def uses_state(state):
    return float(state["completion"][-1]["content"] == state["answer"])


async def uses_info(completion, info):
    return info["bonus"] * float("4" in completion[-1]["content"])


def uses_prompt_and_task(prompt, completion, answer, state, task, info, parser):
    assert prompt[-1]["role"] == "user"
    assert task == "sums"
    return 1.0


def newer_messages(completion, answer):
    return float(completion[-1].content == answer)


def own_column(completion, bonus):
    return bonus


# one's own
def native(completion, problem):
    return problem.reference in completion.text


def native_by_place(_completion, _problem):
    return 0.25


@dataclass(frozen=True)
class Case:
    """What a function gives for a completion: a number, or None where it does not apply."""

    function: Any
    text: str
    expected: float | None
    prompt: Any = TEXT
    metadata: Any = None
    ids: tuple[int, ...] = (1, 2, 3)


TAGGED = "<think>a</think><answer>42</answer>"
CASES = [
    Case(reward_len, "x" * 200, -180),
    Case(reward_num_unique_letters, "aabbc", 3, CHAT),
    Case(reward_long_completions, "a b c", 3),
    Case(format_reward_func, TAGGED, 1, CHAT),
    Case(format_reward_func, "42", 0, CHAT),
    Case(reward_boxed, "\\boxed{42}", 1),
    Case(math_reward_func, "it is 42", 1, metadata={"task": "math"}),
    Case(math_reward_func, "it is 42", None, metadata={"task": "coding"}),
    Case(coding_reward_func, "def f", 1, metadata={"task": "coding"}),
    Case(async_reward, "4", 0.5),
    Case(AsyncJudge(), "4", 1),
    Case(everything, "4", 1),
    Case(SoftOverlong(), "4", -1, ids=(1,) * 9),
    Case(accuracy_reward, "\\boxed{42}", 1, CHAT),
    Case(accuracy_reward, "\\boxed{41}", 0, CHAT),
    Case(accuracy_reward, "\\boxed{41}", None, CHAT, {"solution": "none"}),
    Case(tag_count_reward, "<think>\nA\n</think>\n", 0.5, CHAT),
    Case(get_cosine_scaled_reward(), "x", -1.0, CHAT),
    Case(bound_code_reward, "x", 1),
    Case(correctness_reward_func, TAGGED, 2, CHAT),
    Case(int_reward_func, TAGGED, 0.5, CHAT),
    Case(correct_answer, "42", 1),
    Case(async_correct_answer, "It is 42.", 1, CHAT),
    Case(correct_answer_reward_func, TAGGED, 1),
    Case(length_reward, "x" * 100, -0.1),
    Case(uses_state, "42", 1),
    Case(uses_info, "4", 0.75, metadata={"info": {"bonus": 0.75}}),
    Case(uses_prompt_and_task, "4", 1, metadata={"task": "sums"}),
    Case(newer_messages, "42", 1),
    Case(own_column, "42", 0.3, metadata={"bonus": 0.3}),
    Case(native, "42", 1),
    Case(native_by_place, "42", 0.25),
]
