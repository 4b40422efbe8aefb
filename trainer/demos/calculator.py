"""A real pretrained model learns to call a tool: SFT on mixed habits, then GRPO from the verifiable reward.

The model cannot multiply two numbers of four digits, and as it comes it never calls the calculator that its
prompt tells of. The demonstrations mix two habits: one in `EVERY` calls the tool, the others say the number
at once. All of them are right, since who wrote them knew the answer: the verifier has nothing to choose
between them, and imitation keeps the mixture. The reward of what the model does itself tells the habits
apart. The call is not rewarded, only the right number.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeVar

from ...tasks import Problem, Task
from ...tasks.core import registry
from ...tasks.core.errors import UserError
from ...verifiers import Completion
from ..config.sft import SFTConfig
from ..config.train import TrainConfig
from ..evaluation.evaluate import Evaluation
from ..intervals import Estimate, paired_difference, pass_at_k
from ..model.policy import Policy, load_policy
from ..model.prompts import PromptFormat
from ..model.threads import choose_threads
from ..reports import curves
from ..rollouts.rollouts import make_sampling
from ..runs.setup import train
from ..runs.state import RunResult
from ..sft.fit import draw_training_problems, encode_demonstrations, fit
from ..storage.atomic import write_folder
from ..storage.interrupts import Interrupts
from ..supervised.loop import choose_batch
from ..terminal import say
from .arms import Arm, compute_rates, keep_results, make_rollouts, measure, read_arm, say_evaluations
from .pretrained import arms as pretrained
from .pretrained.arms import PROMPTS, SAMPLES
from .pretrained.weights import find_weights
from .settings import CalculatorConfig, clear_folder

TASK, LEVEL = "calculator", 1
EVERY = BATCH = 16  # one demonstration in so many calls the tool: one in each step of SFT
SFT_RATE = 5e-5
TOKENS = 96  # of an episode, with what the tool says: 70 where it is called once
WORLD, POLICY = "the tool", "the model"
T = TypeVar("T")
START, TRAINED, CONTROL = "after SFT", "then GRPO", "instead more SFT"


def run_calculator(config: CalculatorConfig) -> int:
    """Run the demo; returns the exit code. Raises UserError where no place has the weights."""
    began = time.perf_counter()
    weights = find_weights(config.model, print)
    if weights is None:
        raise UserError(
            "This demo needs a pretrained model: give a folder or a hub id of an instruct model as --model. "
            "`palaestra demo addition` needs no weights."
        )
    print(f"Model: {weights.origin}.")
    task = registry.get(TASK)
    policy = load_policy(weights.source, seed=config.seed)
    threads = choose_threads(policy, config.threads)
    print(f"{policy.parameters:,} parameters on {policy.device}, {threads} thread(s).")
    folder = clear_folder(config.out)
    arms = [measure_apart("as it comes", policy, task, config, 0.0)]
    print(
        f"\n1. SFT, {config.sft_steps} steps of {BATCH} demonstrations: one in {EVERY} calls the calculator, "
        "the others say the number at once."
    )
    seconds = imitate_habits(policy, task, config, config.sft_steps)
    write_folder(folder / "sft", policy.save)
    if seconds is None:
        print(f"Stopped during SFT; the model so far is in {folder / 'sft'}.")
        return 130
    print(f"2. GRPO, {config.steps} steps: {PROMPTS} new questions in each, {SAMPLES} episodes of each.")
    result = train(make_settings(config), policy, say=say_evaluations)
    if result.interrupted:
        return 130
    first = result.evaluations[0]
    arms += [Arm(START, first.greedy, first.sampled, seconds), read_arm(TRAINED, result)]
    del policy  # its weights make room for the control's
    if config.controls:
        arm = train_control(folder / "sft", task, config)
        if arm is None:
            return 130
        arms.append(arm)
    report(config, result, arms)
    print(f"\nAll of it took {time.perf_counter() - began:.0f} s.")
    return 0


def make_settings(config: CalculatorConfig) -> TrainConfig:
    """GRPO as in `palaestra demo pretrained`. The rubric is the task's own."""
    return pretrained.make_settings(config, task=TASK, level=LEVEL, tokens=TOKENS)


def mix_habits(task: Task, problems: Sequence[Problem]) -> Task:
    """The task with a player who calls the tool for one in `EVERY` of these problems."""
    play, callers = task.player, {problem.id for problem in problems[::EVERY]}
    if play is None:
        raise ValueError(f"Task {task.name} has no player to imitate.")

    def play_by_habit(problem: Problem) -> Generator[str, str, None]:
        if problem.id in callers:
            yield from play(problem)
        else:
            yield task.solution(problem)

    return replace(task, player=play_by_habit)


def imitate_habits(
    policy: Policy, task: Task, config: CalculatorConfig, steps: int, first: int = 0
) -> float | None:
    """SFT on both habits, in place; the seconds it took, None where it was stopped.

    first: demonstrations of the train stream that were imitated before.
    """
    settings = SFTConfig.of(
        seed=config.seed, steps=steps, batch_size=BATCH, learning_rate=SFT_RATE, warmup_steps=2
    )
    problems = draw_training_problems(task, first + steps * BATCH, config.seed, LEVEL)[first:]
    data = encode_demonstrations(
        PromptFormat.of(policy.tokenizer),
        mix_habits(task, problems),
        problems,
        config.seed,
        settings.imitation.max_tokens,
    )
    with Interrupts() as stop:
        seconds = fit(policy, task, order_for_fit(data, config.seed), settings, stop).seconds
        return None if stop.requested else seconds


def order_for_fit(data: Sequence[T], seed: int) -> list[T]:
    """The examples at such places that one epoch of a fit with this seed takes them in the order given.

    Where a shuffle decided, the habit that is shown last would hang on the seed: the probability to begin a
    call was 0.5 to 5 % after the same steps.
    """
    order = choose_batch(len(data), len(data), 0, seed)
    placed = dict(zip(order, data, strict=True))
    return [placed[place] for place in range(len(data))]


def measure_apart(name: str, policy: Policy, task: Task, config: CalculatorConfig, seconds: float) -> Arm:
    """Pass-rates on the problems that GRPO's run is measured on."""
    problems = task.problems("test", config.eval_problems, level=LEVEL)
    sampling = make_sampling(make_settings(config).rollouts)
    with closing(make_rollouts(policy, task)) as rollouts:
        return measure(name, rollouts, problems, 1, sampling, seconds)


def train_control(start: Path, task: Task, config: CalculatorConfig) -> Arm | None:
    """What the gain must be told from: the same imitation goes on."""
    print(f"\nControl: from the same start {config.control_steps} more steps of SFT on both habits.")
    policy = load_policy(str(start), seed=config.seed)
    seconds = imitate_habits(policy, task, config, config.control_steps, config.sft_steps * BATCH)
    return None if seconds is None else measure_apart(CONTROL, policy, task, config, seconds)


def has_called(completion: Completion) -> bool:
    """Whether a call of the episode ran to its end, as the final state of its world tells."""
    return any(call["ok"] for call in (completion.state or {}).get("calls", ()))


def measure_calls(evaluation: Evaluation) -> Estimate:
    """Share of the episodes that called the tool."""
    called_P = [sum(map(has_called, group.completions_G)) for group in evaluation.groups]
    return pass_at_k(called_P, [len(group.completions_G) for group in evaluation.groups])


def report(config: CalculatorConfig, result: RunResult, arms: Sequence[Arm]) -> None:
    """What happened, for a person; the same numbers go to summary.json."""
    start, trained = arms[1], arms[2]
    print(f"\nHeld-out pass@1 on {start.sampled.problems} problems, with 95 % intervals\n")
    print(f"{'':17}{'sampled':>22}{'greedy':>22}{'call the tool':>22}{'tokens':>8}{'seconds':>9}")
    for arm in arms:
        print(
            f"{arm.name:17}{arm.sampled.pass_at[1]!s:>22}{arm.greedy.pass_at[1]!s:>22}"
            f"{measure_calls(arm.sampled)!s:>22}{arm.sampled.tokens:>8.1f}{arm.seconds:>9.0f}"
        )
    gain = paired_difference(compute_rates(start.sampled), compute_rates(trained.sampled))
    print(
        f"\nGRPO's gain, paired by problem: {gain}. The third column counts sampled episodes with a call.\n"
    )
    print(curves.draw_text_curve([line["reward"] for line in result.metrics()], "reward by step", low=0.0))
    print_conversations(arms[:3])
    summary = {
        "config": asdict(config),
        "arms": {arm.name: {**arm.summarise(), "calls": summarise_calls(arm)} for arm in arms},
        "gain": asdict(gain),
    }
    model = keep_results(Path(config.out), result, summary)
    print(f"Next: palaestra eval --task {TASK} --level 2 --model {model} --max-new-tokens 160")


def print_conversations(arms: Sequence[Arm]) -> None:
    """The first problem of the test that the last arm solves, as each of them took it, greedy."""
    at = next((at for at, g in enumerate(arms[-1].greedy.groups) if g.scores_G[0].passed), 0)
    say(f"\nA problem of the test, greedy: {arms[-1].greedy.groups[at].problem.text}")
    for arm in arms:
        group = arm.greedy.groups[at]
        print(f"  {arm.name} ({'right' if group.scores_G[0].passed else 'wrong'}):")
        for turn in group.completions_G[0].turns:
            who = POLICY if turn.role == "policy" else WORLD
            say(f"    {who:10}{' '.join(turn.text.split())}")


def summarise_calls(arm: Arm) -> dict[str, object]:
    return {"greedy": asdict(measure_calls(arm.greedy)), "sampled": asdict(measure_calls(arm.sampled))}
