"""What the demo shows at its end: a table, what else became of the model, a curve and examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ...intervals import Difference, paired_difference
from ...reports import curves
from ...rollouts.group import Group
from ...runs.state import RunResult
from ...terminal import say
from ..arms import Arm, compute_rates, keep_results
from ..settings import PretrainedConfig
from .arms import ABOVE, TASK, TOKENS, Watched
from .unrelated import SHOWN, Drift


def report(config: PretrainedConfig, watched: Watched, arms: Sequence[Arm]) -> None:
    """What happened, for a person; the same numbers go to summary.json."""
    result = watched.result
    first = arms[0]
    print(f"\nHeld-out pass@1 on {first.greedy.problems} questions, with 95 % intervals\n")
    print(f"{'':18}{'sampled':>22}{'greedy':>22}{'tokens':>9}{'seconds':>9}")
    for arm in arms:
        print(
            f"{arm.name:18}{arm.sampled.pass_at[1]!s:>22}{arm.greedy.pass_at[1]!s:>22}"
            f"{arm.sampled.tokens:>9.1f}{arm.seconds:>9.0f}"
        )
    gain = paired_difference(compute_rates(first.sampled), compute_rates(arms[1].sampled))
    print(f"\nGRPO's gain, paired by question: {gain}.")
    print(
        f"The level above, never trained (numbers to 99), sampled: {watched.above_before.pass_at[1]} before, "
        f"{watched.above_after.pass_at[1]} after."
    )
    print_drift(watched.drift)
    print()
    print(curves.draw_text_curve([line["reward"] for line in result.metrics()], "reward by step", low=0.0))
    print_changes(result)
    model = keep_results(Path(config.out), result, summarise(config, watched, arms, gain))
    print(f"Next: palaestra eval --task {TASK} --level {ABOVE} --model {model} --max-new-tokens {TOKENS}")


def print_drift(drift: Drift) -> None:
    print(
        f"\nIs something else lost? On {drift.kl.problems} prompts that have nothing to do with numbers the "
        f"model has moved by\n{drift.kl} nats per token (KL). Three of them:"
    )
    for prompt, before, after in zip(SHOWN, drift.before, drift.after, strict=True):
        for label, text in ((prompt, before), ("", after)):
            say(f"  {label:36}{'after ' if not label else 'before'} {' '.join(text.split())}")


def print_changes(result: RunResult) -> None:
    """Three questions of the test whose answers show the change: wrong before, right after, each of another
    kind where there are as many."""
    first, last = result.evaluations[0].sampled, result.evaluations[-1].sampled
    changed: dict[str, tuple[Group, Group]] = {}
    for pair in zip(first.groups, last.groups, strict=True):
        if not pair[0].scores_G[0].passed and pair[1].scores_G[0].passed:
            changed.setdefault(pair[0].problem.metadata["kind"], pair)
    print("\nThree questions of the test, before and after:")
    for pair in list(changed.values())[:3]:
        say(f"  {pair[0].problem.text}")
        for label, group in zip(("before", "after"), pair, strict=True):
            mark = "right" if group.scores_G[0].passed else "wrong"
            say(f"    {label:7}{mark}: {' '.join(group.completions_G[0].text.split())}")


def summarise(
    config: PretrainedConfig, watched: Watched, arms: Sequence[Arm], gain: Difference
) -> dict[str, object]:
    return {
        "config": asdict(config),
        "arms": {arm.name: arm.summarise() for arm in arms},
        "gain": asdict(gain),
        "above": {"before": watched.above_before.summarise(), "after": watched.above_after.summarise()},
        "unrelated": asdict(watched.drift),
    }
