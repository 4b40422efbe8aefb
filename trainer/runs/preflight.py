"""Before a run: sample a few dozen problems, report what they promise, and refuse what cannot learn."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ...tasks import Problem, Task
from ...tasks.core.conversation import write_conversation
from ...tasks.core.errors import UserError
from ...tasks.core.mixture import Mixture
from ...verifiers import Completion, Rubric
from ...verifiers.display import escape_controls
from ...verifiers.types import Usage
from ..algorithms.named import find_algorithm
from ..config.train import TrainConfig
from ..distributed.world import find_world
from ..objective.formula import write_truncation
from ..rollouts.group import Group, has_signal, list_reasons
from ..rollouts.rollouts import Rollouts, make_sampling
from .state import Run
from .weights import Rates, find_factors, read_ramps, weigh_groups

PREFLIGHT_SAMPLES = 4
SHOWN_LINES, SHOWN_TURNS = 6, 8  # of an episode that is shown
EXAMPLE_ENDS = (240, 80)  # characters of a completion that are shown, from its beginning and its end
CERTAIN_SHARE = 0.95  # of the tokens, from which a truncation is warned of
_WIDEN_TRUNCATION = "raise --top-p or --top-k, or lower --min-p."


@dataclass(frozen=True)
class Preflight:
    """What a first sample of the training problems says. Shares in [0, 1].

    histogram: problems by how many of their completions passed, 0 to group_size.  signal: share of groups
    whose rewards differ.  ended: completions that ended by themselves.  tokens_per_second: of sampling and
    verifying.  hours: expected for the sampling of all steps.  varied: whether any two rewards differ.
    compares: whether the algorithm learns from differences within a group alone.  reasons: some of why
    completions could not be scored.  certain: share of tokens with a probability of 1 where sampling is
    truncated, most of them the only one left to draw; 0 where it is not.  form_alone: whether rewards differ
    by criteria on form alone.  template: whether prompts go through a chat template.  example: a completion.
    tasks: of a mixture, the share of each task's groups that have a signal.
    """

    problems: int
    group_size: int
    refused: int
    extracted: float
    ended: float
    abstained: float
    pass_rate: float
    any_passed: float
    signal: float
    tokens: float
    tokens_per_second: float
    hours: float
    histogram: Sequence[int]
    varied: bool
    compares: bool
    verifiable: bool = True
    reasons: Sequence[str] = ()
    certain: float = 0.0
    form_alone: bool = False
    template: bool = False
    example: Completion | None = None
    tasks: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As a line of metrics.jsonl. Of the example what the model wrote: each number in it, a world's state
        included, would become a metric."""
        return {**asdict(replace(self, example=None)), "example": self.example.text if self.example else ""}

    def list_faults(self) -> list[str]:
        """Why this can't learn, each with the fix; empty when it can."""
        if not self.problems:
            return [
                f"All {self.refused} prompts are over the budget: raise --max-prompt-tokens. Where the model "
                "has no more positions, lower --max-new-tokens."
            ]
        faults = []
        if self.abstained == 1:
            faults.append(
                f"No completion could be scored: {'; '.join(self.reasons)} Try `palaestra task check`."
            )
        elif self.extracted == 0:
            faults.append(
                "No answer was extracted from any completion: warm up with `palaestra sft`, or check the "
                "prompt's form."
            )
        if self.ended == 0:
            faults.append(
                "Every completion was cut at the length limit: raise --max-new-tokens, or warm up with "
                "`palaestra sft`."
            )
        if self.certain == 1:
            faults.append(
                f"Every token was left with a probability of 1, so no gradient: {_WIDEN_TRUNCATION}"
            )
        if self.pass_rate == 0 and self.form_alone and not faults:
            faults.append(
                "No completion passed, and the rewards differ by their form alone: a run would learn to look "
                "right."
            )
        if self.signal == 0 and self.pass_rate == 1:
            faults.append("Every completion passed already: choose a harder level or task.")
        elif not self.varied:
            faults.append(
                "All rewards are equal, so nothing to learn: warm up with SFT, or choose an easier level."
            )
        elif self.signal == 0 and self.compares:
            faults.append(
                "All rewards within every group are equal, so no gradient: warm up with SFT, or an easier "
                "level."
            )
        return faults

    def list_causes(self) -> list[str]:
        """Why nothing may have passed, most likely first, with one completion; empty where something did."""
        if self.pass_rate > 0 or not self.verifiable or self.example is None or self.abstained == 1:
            return []
        causes = []
        if self.ended < 0.5:
            causes.append(
                f"{1 - self.ended:.0%} of the completions were cut at the length limit before they could end "
                "(--max-new-tokens)."
            )
        if self.extracted < 0.5:
            causes.append(
                f"In {1 - self.extracted:.0%} of the completions there is no answer in the form that the "
                "verifier reads."
            )
            causes.append(
                "Prompts go through the tokenizer's chat template, which a base model has never learned: "
                "warm up with `palaestra sft`, or take an instruct model."
                if self.template
                else "The tokenizer has no chat template, so the model reads plain text: an instruct model "
                "needs its own (--prompt-template FILE), a base model goes on with the text (warm up with "
                "`palaestra sft`)."
            )
        if not causes:
            causes.append(
                "Answers come in the right form, and all are wrong: choose an easier level or task, or warm "
                "up with `palaestra sft`."
            )
        if not self.example.turns:
            causes.append(f'One completion: "{trim(self.example.text)}".')
        return causes

    def show_example(self) -> str:
        """One completion of a run that can't learn, where it is a conversation; "" where it is a text."""
        if self.example is None or not self.example.turns:
            return ""
        return f"\nOne completion:\n{write_conversation(self.example, lines=SHOWN_LINES, turns=SHOWN_TURNS)}"

    def list_warnings(self) -> list[str]:
        warnings = []
        if self.compares and 0 < self.signal < 0.2:
            warnings.append(
                f"Only {self.signal:.0%} of the groups have a signal (any completion passed in "
                f"{self.any_passed:.0%} of them): learning will be slow, and may collapse. Try --resample 2, "
                "a larger --group-size, or more SFT."
            )
        silent = [label for label, signal in self.tasks.items() if not signal]
        if silent and self.signal > 0:
            warnings.append(
                f"No group of {', '.join(silent)} has a signal, so nothing is learned there: take an easier "
                "level, or more SFT."
            )
        if CERTAIN_SHARE <= self.certain < 1:
            warnings.append(
                f"{self.certain:.1%} of the tokens were left with a probability of 1, and have no gradient: "
                f"{_WIDEN_TRUNCATION}"
            )
        return warnings

    def write_lines(self) -> list[str]:
        """The report for a person."""
        if not self.verifiable:
            return [
                f"Preflight on {self.problems} problems x {self.group_size}, scored by a reward model: "
                "groups with a signal "
                f"{self.signal:.1%}",
                f"  ended {self.ended:.1%}, unscorable {self.abstained:.1%}, mean length {self.tokens:.1f} "
                "tokens, "
                f"prompts refused {self.refused}",
                (
                    f"  {self.tokens_per_second:,.0f} tokens/s; sampling all steps takes about "
                    f"{say_duration(self.hours)}"
                ),
            ]
        bars = " ".join(f"{count}" for count in self.histogram)
        return [
            f"Preflight on {self.problems} problems x {self.group_size}: pass-rate {self.pass_rate:.1%}, "
            f"any passed {self.any_passed:.1%}, groups with a signal {self.signal:.1%}",
            f"  answers extracted {self.extracted:.1%}, ended {self.ended:.1%}, unscorable "
            f"{self.abstained:.1%}, "
            f"mean length {self.tokens:.1f} tokens, prompts refused {self.refused}",
            f"  problems by passed completions, 0 to {self.group_size}: {bars}",
            (
                f"  {self.tokens_per_second:,.0f} tokens/s; sampling all steps takes about "
                f"{say_duration(self.hours)}"
            ),
        ]


def look_ahead(run: Run, say: Callable[[str], None]) -> Preflight | None:
    """Sample ahead and say what it promises; None where the settings leave it out.

    Raises UserError for a run that can't learn, unless forced.
    """
    config, count = run.config, run.config.guards.preflight_problems
    if not count:
        return None
    level = config.task.single_level
    problems = [run.task.problem("train", index, config.seed, level) for index in range(count)]
    run.load(0)
    # Its times are of one process; what they promise is to be said by all alike.
    report = find_world().agree(run_preflight(run.rollouts, problems, config))
    say("\n".join([*report.write_lines(), *report.list_warnings()]))
    if report.list_faults() and not config.guards.force:
        said = [*report.list_faults(), *report.list_causes(), "--force starts all the same."]
        raise UserError(" ".join(said) + report.show_example())
    return report


def run_preflight(rollouts: Rollouts, problems: Sequence[Problem], config: TrainConfig) -> Preflight:
    """Sample a group of completions for each problem and summarise them."""
    # A run may sample one completion of a prompt, but whether a problem can teach anything takes several.
    group_size = config.rollouts.group_size if config.rollouts.group_size > 1 else PREFLIGHT_SAMPLES
    sampling = make_sampling(config.rollouts)
    fitting = [problem for problem in problems if rollouts.fits(problem)]
    start = time.perf_counter()
    sampled = rollouts.sample_groups(fitting, group_size, sampling, "preflight") if fitting else []
    seconds = time.perf_counter() - start
    factors = find_factors(read_ramps(config.reward.criterion_weight), 0, Rates())
    groups = weigh_groups(sampled, rollouts.task, factors)
    report = summarise(groups, len(problems) - len(fitting), group_size, seconds, config)
    rubric = rollouts.task.rubric
    return replace(
        report,
        verifiable=rubric.verifiable,
        form_alone=differs_by_form_alone(groups, rubric),
        template=rollouts.prompts.has_template,
        tasks=measure_tasks(groups, rollouts.task, config),
    )


def measure_tasks(groups: Sequence[Group], task: Task, config: TrainConfig) -> dict[str, float]:
    """Of a mixture, the share of each task's groups that have a signal; {} for a single task."""
    if not isinstance(task, Mixture):
        return {}
    signals: dict[str, list[bool]] = {}
    for group in groups:
        found = has_signal(group, config.objective, config.rollouts.max_new_tokens)
        signals.setdefault(task.find_label(group.problem), []).append(found)
    return {label: sum(found) / len(found) for label, found in sorted(signals.items())}


def summarise(
    groups: Sequence[Group], refused: int, group_size: int, seconds: float, config: TrainConfig
) -> Preflight:
    """The numbers of a sample that took `seconds`. refused: prompts over the budget."""
    total_prompts = config.steps * config.rollouts.prompts_per_step
    scores = [score for group in groups for score in group.scores_G]
    completions = [completion for group in groups for completion in group.completions_G]
    count = max(1, len(scores))
    tokens = sum(completion.tokens for completion in completions)
    passed = Counter(sum(score.passed for score in group.scores_G) for group in groups)
    signal = sum(has_signal(group, config.objective, config.rollouts.max_new_tokens) for group in groups)
    return Preflight(
        problems=len(groups),
        group_size=group_size,
        refused=refused,
        extracted=sum(score.extracted for score in scores) / count,
        ended=sum(not completion.truncated for completion in completions) / count,
        abstained=sum(score.abstained for score in scores) / count,
        pass_rate=sum(score.passed for score in scores) / count,
        any_passed=1 - passed[0] / max(1, len(groups)),
        signal=signal / max(1, len(groups)),
        tokens=tokens / count,
        tokens_per_second=tokens / seconds if seconds else 0.0,
        hours=seconds / 3600 * total_prompts / max(1, len(groups)),
        histogram=[passed[k] for k in range(group_size + 1)],
        varied=len({score.reward for score in scores if not score.abstained}) > 1,
        compares=find_algorithm(config.algorithm).compares_groups,
        reasons=list_reasons(groups)[:3],
        certain=count_certain(completions) / max(1, tokens) if write_truncation(config.rollouts) else 0.0,
        example=_leave_tokens(completions[0]) if completions else None,
    )


def _leave_tokens(completion: Completion) -> Completion:
    """A completion as a person reads it."""
    said = replace(completion, prompt_ids=(), ids=(), logprobs=(), sampled=(), kept=None)
    return replace(said, usage=Usage(completion.tokens, completion.prompt_tokens))


def differs_by_form_alone(groups: Sequence[Group], rubric: Rubric) -> bool:
    """Whether the rewards differ, and only criteria on form made them."""
    scores = [score for group in groups for score in group.scores_G if not score.abstained]
    moving = [
        criterion
        for criterion in rubric.criteria
        if len({score.parts[criterion.name].amount for score in scores if criterion.name in score.parts}) > 1
    ]
    # Where every criterion is on form, form is the task.
    judged_by_more = any(not criterion.form for criterion in rubric.criteria)
    return bool(moving) and judged_by_more and all(criterion.form for criterion in moving)


def trim(text: str) -> str:
    """The beginning and the end of a completion on one line, with what acts on a terminal as escapes."""
    head, tail = EXAMPLE_ENDS
    shown = text if len(text) <= head + tail else f"{text[:head]} ... {text[-tail:]}"
    return escape_controls(shown).replace("\n", "\\n").replace("\t", "\\t")


def count_certain(completions: Sequence[Completion]) -> int:
    """How many tokens have a log-probability of 0: one that is drawn among itself alone has exactly that."""
    return sum(logprob == 0 for completion in completions for logprob in completion.logprobs)


def say_duration(hours: float) -> str:
    """Hours as a person says them: seconds below two minutes, minutes below two hours."""
    if hours < 2 / 60:
        return f"{3600 * hours:.0f} s"
    return f"{60 * hours:.0f} min" if hours < 2 else f"{hours:.1f} h"
