"""The questions of somebody who did not make the run, each answered in a sentence with its numbers.

An answer says yes or no only where an interval does: everything else is "can't tell".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from ..intervals import Estimate, Interval, mean_interval, paired_difference, subtract
from .paired import Paired
from .rows import Table, gather_by_problem, group_by_step

SHARE = 0.2  # of the steps at either end that are compared where nothing else is there
GAP_GROWTH = 0.1  # of reward over shadow reward, that is shown as a warning
LENGTH_GROWTH = 3.0
MISREAD = 0.1  # share of completions without an answer that is shown as a warning


UNPAIRED = Paired()


@dataclass(frozen=True)
class Answer:
    """verdict: `yes`, `no`, `unsure`, or `note` where the question has no such answer.

    headline: one sentence.  details: what it rests on, a sentence each.
    """

    question: str
    verdict: str
    headline: str
    details: list[str] = field(default_factory=list)


Pair = Callable[[int, int], Paired]  # of a run's evaluations at two steps


def pair_nothing(first: int, last: int) -> Paired:  # noqa: ARG001 - as of a run that kept no completions
    return UNPAIRED


def answer_learning(
    evaluations: Sequence[Mapping[str, Any]], table: Table, run: int, pair: Pair = pair_nothing
) -> Answer:
    """Did it learn? By the held-out evaluations, else by the rollouts of the first and the last steps.

    pair: sets the completions of two evaluations against each other.
    """
    question = "Did it learn?"
    pairs = [(line["step"], read_headline(line, "sampled")) for line in evaluations]
    known = [(step, estimate) for step, estimate in pairs if estimate is not None]
    details = []
    if len(known) >= 2:
        (first_step, first), (last_step, last) = known[0], known[-1]
        paired = pair(first_step, last_step)
        exact = choose_paired(paired, evaluations)
        difference = exact or subtract(last, first)
        best_step, best = max(known, key=lambda pair: pair[1].value)
        details.append(
            f"Held-out {name_headline(evaluations)} on {last.problems} problems, sampled: "
            f"{show(first)} at step {first_step}, {show(last)} at step {last_step}."
        )
        details += [paired.said] if paired.said else []
        if best_step != last_step and best.value > last.value:
            details.append(f"The best evaluation was at step {best_step}: {show(best)}.")
        greedy = [read_headline(line, "greedy") for line in evaluations]
        if greedy[0] is not None and greedy[-1] is not None:
            details.append(f"Greedy: {show(greedy[0])} at first, {show(greedy[-1])} at last.")
        what = f"{'paired by problem, ' if exact else ''}held-out {name_headline(evaluations)}"
    else:
        ends = compare_ends(group_by_step(table, run, "passed"))
        if ends is None:
            return Answer(question, "unsure", "Too few steps or evaluations to tell.")
        first, last, difference = ends.first, ends.last, ends.difference
        details.append(
            f"No two held-out evaluations; training problems passed {show(first)} over the first "
            f"{ends.steps} steps, {show(last)} over the last {ends.steps}."
        )
        what = "pass-rate in training"
    verdict = judge(difference)
    words = {"yes": "Yes", "no": "No, it got worse", "unsure": "Can't tell"}[verdict]
    return Answer(question, verdict, f"{words}: {what} {show_change(difference)}.", details)


def answer_ending(
    metrics: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any],
    end: Mapping[str, Any],
    tripped: Mapping[str, Any],
    since_s: float,
    *,
    held: bool = False,
) -> Answer:
    """Why did it stop? end, tripped: what end.json and report.json hold, {} where they are not there.

    since_s: seconds since the run last wrote.  held: whether a process on this machine is writing it.
    """
    question = "Why did it stop?"
    done = max((line["step"] for line in metrics if line["kind"] == "step"), default=0)
    asked = config.get("steps", 0)
    of_all = f"after {done} of {asked} steps"
    if held:
        return Answer(question, "note", f"It has not: {done} of {asked} steps are done.")
    if tripped and tripped.get("step") == done:
        details = [f"{name} was beyond its bound." for name in tripped["tripped"]]
        best = f"The best checkpoint: {tripped['best']}." if tripped.get("best") else ""
        details += [best] if best else []
        return Answer(
            question, "no", f"A tripwire stopped it {of_all}: {', '.join(tripped['tripped'])}.", details
        )
    state, reason = end.get("state", ""), str(end.get("reason", ""))
    if state == "finished" or (not end and asked and done >= asked):
        return Answer(question, "yes", f"It came to its end: {done} of {asked} steps.")
    if state == "stopped":
        return Answer(question, "note", f"Somebody stopped it ({reason}) {of_all}; it can be resumed.")
    if state == "disk":
        return Answer(
            question, "no", f"Its disk was full, or refused, {of_all}; it can be resumed.", [reason]
        )
    if state == "halted":
        return Answer(question, "no", f"A guard halted it {of_all}.", [reason])
    if state == "failed":
        return Answer(question, "no", f"An error ended it {of_all}.", [reason])
    pace = (
        fmean(times)
        if (times := [step_seconds(line) for line in metrics if line["kind"] == "step"])
        else 60.0
    )
    if since_s < max(120.0, 20 * pace):
        return Answer(question, "note", f"It has not: {done} of {asked} steps are done.")
    return Answer(
        question,
        "no",
        f"It was killed, or its machine went down, {of_all}: it left no word of its end.",
        [
            f"It last wrote {show_span(since_s)} ago. `palaestra resume RUN` goes on from its newest "
            "checkpoint."
        ],
    )


def answer_hacking(
    metrics: Sequence[Mapping[str, Any]], control: str, learning: Answer, suspects: Sequence[str]
) -> Answer:
    """Is it gaming the reward? The signs that the numbers of the steps show."""
    question = "Is it gaming the reward?"
    steps = [line for line in metrics if line["kind"] == "step"]
    if not steps:
        return Answer(question, "unsure", "No step was taken yet.")
    count = max(1, int(len(steps) * SHARE))
    early, late = steps[:count], steps[-count:]
    signs, calm = [], []
    gaps = [average(part, lambda line: line.get("shadow", {}).get("gap")) for part in (early, late)]
    if gaps[0] is not None and gaps[1] is not None:
        said = (
            f"The reward is {gaps[1]:+.3f} above a stricter rubric's on the same completions "
            f"({gaps[0]:+.3f} at first)"
        )
        (signs if gaps[1] - gaps[0] > GAP_GROWTH else calm).append(f"{said}.")
    rewards = [average(part, lambda line: line.get("reward")) for part in (early, late)]
    passed = [average(part, lambda line: line.get("pass_rate")) for part in (early, late)]
    if None not in (*rewards, *passed) and control == "none":
        rise, truth = rewards[1] - rewards[0], passed[1] - passed[0]  # type: ignore[operator]
        said = f"Reward {rise:+.3f}, pass-rate {truth:+.3f} from the first {count} steps to the last"
        (signs if rise > 0.05 and truth < rise / 3 else calm).append(f"{said}.")
        if rise > 0.05 and learning.verdict == "no":
            signs.append("The reward of training rose while the held-out problems got worse.")
    lengths = [average(part, lambda line: line.get("tokens")) for part in (early, late)]
    if lengths[0] and lengths[1]:
        said = f"Completions of {lengths[1]:.0f} tokens ({lengths[0]:.0f} at first)"
        (signs if lengths[1] / lengths[0] > LENGTH_GROWTH else calm).append(f"{said}.")
    read = average(late, lambda line: line.get("extracted"))
    if read is not None:
        (signs if read < 1 - MISREAD else calm).append(
            f"An answer could be read in {read:.1%} of the last ones."
        )
    if suspects:
        signs.append(f"References that may be wrong: {', '.join(suspects[:5])}.")
    if control != "none":
        signs.insert(0, f"This is a control arm: its rewards are of `--control {control}`.")
    if signs:
        return Answer(question, "no", f"There are signs: {signs[0]}", [*signs[1:], *calm])
    return Answer(question, "yes", "No sign of it in the numbers; read a few completions below.", calm)


@dataclass(frozen=True)
class Ends:
    """The first and the last `steps` steps, over their problems."""

    first: Interval
    last: Interval
    difference: Interval
    steps: int


def compare_ends(groups: Mapping[int, Mapping[int, Sequence[float]]]) -> Ends | None:
    """Pass-rates of the first and the last fifth of the steps; None for fewer than ten steps."""
    steps = sorted(groups)
    count = int(len(steps) * SHARE)
    if len(steps) < 10:
        return None
    first, last = (
        mean_interval(list(gather_by_problem(groups, part).values()), 0.0, 1.0)
        for part in (steps[:count], steps[-count:])
    )
    return Ends(first, last, subtract(last, first), count)


def answer_better(
    names: Sequence[str],
    evaluations: Sequence[Sequence[Mapping[str, Any]]],
    table: Table,
    run: int,
    alike: str,
    held_out: Paired = UNPAIRED,
) -> Answer:
    """Is run number `run` better than the first? alike: "" where both were measured on the same problems,
    else what differs.  held_out: what pairing their last evaluations found."""
    question = f"Is {names[run]} better than {names[0]}?"
    if alike or held_out.unlike:
        return Answer(question, "unsure", f"They can't be compared: {alike or held_out.said.rstrip('.')}.")
    last = [read_headline(lines[-1], "sampled") if lines else None for lines in evaluations]
    details = [
        f"{names[number]}: {show(estimate)} at step {evaluations[number][-1]['step']}."
        for number in (0, run)
        if (estimate := last[number]) is not None
    ]
    details += [held_out.said] if held_out.said else []
    paired = pair_rollouts(table, 0, run)
    if paired is not None and paired.problems:
        details.append(
            f"On the {paired.problems} training problems that both drew in their last fifth of steps: "
            f"{paired} (paired)."
        )
    ours, theirs = last[run], last[0]
    if ours is None or theirs is None:
        if paired is None or not paired.problems:
            return Answer(question, "unsure", "Neither held-out evaluations nor problems in common.", details)
        difference = Interval(paired.value, paired.low, paired.high, paired.problems)
        what = "training problems in common, paired"
    else:
        exact = choose_paired(held_out, evaluations[run])
        difference = exact or subtract(ours, theirs)
        what = (
            f"{'paired by problem, ' if exact else ''}held-out {name_headline(evaluations[run])} at the end"
        )
    verdict = judge(difference)
    words = {"yes": "Yes", "no": "No, worse", "unsure": "Can't tell"}[verdict]
    return Answer(question, verdict, f"{words}: {what} {show_change(difference)}.", details)


def pair_rollouts(table: Table, first: int, second: int) -> Any:
    """The paired difference of pass-rates on problems that both runs drew in the last fifth of their steps;
    None for runs without rows."""
    means = [average_late(table, run) for run in (first, second)]
    shared = sorted(means[0].keys() & means[1].keys())
    if not shared:
        return None
    return paired_difference([means[0][p] for p in shared], [means[1][p] for p in shared])


def average_late(table: Table, run: int) -> dict[int, float]:
    """The code of each problem -> its pass-rate over all of its visits in the last fifth of the steps."""
    groups = group_by_step(table, run, "passed")
    last = max(groups, default=0)
    late = gather_by_problem(groups, [step for step in groups if step > last * (1 - SHARE)])
    return {problem: fmean(values) for problem, values in late.items()}


def read_headline(line: Mapping[str, Any], mode: str) -> Estimate | Interval | None:
    """pass@1 of an evaluation's record, or its mean reward; None where it holds neither."""
    result = line.get(mode) or {}
    if "1" in result.get("pass_at", {}):
        return Estimate(**result["pass_at"]["1"])
    return Interval(**result["reward_interval"]) if "reward_interval" in result else None


def choose_paired(paired: Paired, evaluations: Sequence[Mapping[str, Any]]) -> Interval | None:
    """The difference of what the headline is about."""
    return paired.difference if name_headline(evaluations) == "pass@1" else paired.reward


def name_headline(evaluations: Sequence[Mapping[str, Any]]) -> str:
    return "pass@1" if "1" in evaluations[-1].get("sampled", {}).get("pass_at", {}) else "reward"


def judge(difference: Interval) -> str:
    """yes, no or unsure: on which side of 0 the interval lies."""
    return "yes" if difference.low > 0 else "no" if difference.high < 0 else "unsure"


def average(lines: Sequence[Mapping[str, Any]], read: Any) -> float | None:
    """Mean of what the lines say; None where none says anything."""
    values = [value for line in lines if (value := read(line)) is not None]
    return fmean(values) if values else None


def step_seconds(line: Mapping[str, Any]) -> float:
    return sum(line.get("seconds", {}).values())


def show(estimate: Estimate | Interval) -> str:
    """As 41.0 % [35.2, 47.1]."""
    if not estimate.problems or math.isnan(estimate.value):
        return "unknown"
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def show_change(difference: Interval) -> str:
    """As +12.0 points [+4.1, +19.5]."""
    value, low, high = (100 * end for end in (difference.value, difference.low, difference.high))
    return f"{value:+.1f} points [{low:+.1f}, {high:+.1f}]"


def show_span(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
