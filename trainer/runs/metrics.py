"""The numbers of a step: what metrics.jsonl holds. Shares in [0, 1], lengths in tokens, times in seconds."""

from __future__ import annotations

import resource
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import zip_longest
from statistics import fmean, mean, pstdev
from typing import Any

import torch

from ...tasks import Task
from ...tasks.core.mixture import Mixture
from ...tasks.core.seeds import digest
from ...verifiers import Completion, Rubric, Score
from ..algorithms.base import StepResult
from ..algorithms.batch import Batch
from ..config.train import TrainConfig
from ..engines.sync import SyncReport
from ..objective.losses import summarise_stats
from ..rollouts.collect import count_tokens
from ..rollouts.group import Group, has_signal, list_amounts

MOST_TURNS = 20  # whose rewards a step's metrics tell apart
Beside = Callable[..., Future[Score]]  # (function, its arguments) -> what it will give


def run_at_once(function: Callable[..., Score], *arguments: Any) -> Future[Score]:
    """Call a function now."""
    done: Future[Score] = Future()
    done.set_result(function(*arguments))
    return done


def measure_rewards(groups: Sequence[Group], task: Task, config: TrainConfig) -> dict[str, Any]:
    """What the rollouts of a step say: rewards, verdicts, lengths; shares in [0, 1], lengths in tokens.

    There is no pass-rate under a rubric that verifies nothing. Of a mixture there is the same of each task in
    the step, by its own rubric, under `tasks`.
    """
    measured = _measure_rewards(groups, task.rubric, config)
    if isinstance(task, Mixture):
        by_task: dict[str, list[Group]] = {}
        for group in groups:
            by_task.setdefault(task.find_label(group.problem), []).append(group)
        measured["tasks"] = {
            label: {"groups": len(found), **_measure_rewards(found, member.rubric, config)}
            for label, found in sorted(by_task.items())
            for member in (task.find_member(found[0].problem.id),)
        }
    return measured


def _measure_rewards(groups: Sequence[Group], rubric: Rubric, config: TrainConfig) -> dict[str, Any]:
    scores = [score for group in groups for score in group.scores_G]
    completions = [completion for group in groups for completion in group.completions_G]
    scored = [score for score in scores if not score.abstained] or scores
    rewards = torch.tensor([score.reward for score in scored])
    lengths = torch.tensor([float(completion.tokens) for completion in completions])
    ended = torch.tensor([not completion.truncated for completion in completions])
    dead = [not has_signal(group, config.objective, config.rollouts.max_new_tokens) for group in groups]
    return {
        "reward": float(rewards.mean()),
        "reward_std": float(rewards.std(correction=0)),
        **({"pass_rate": sum(score.passed for score in scored) / len(scored)} if rubric.verifiable else {}),
        "abstained": sum(score.abstained for score in scores) / len(scores),
        "dead_groups": sum(dead) / len(dead),
        "tokens": float(lengths.mean()),
        "tokens_ended": float(lengths[ended].mean()) if ended.any() else None,
        "extracted": sum(score.extracted for score in scores) / len(scores),
        "truncated": 1 - float(ended.float().mean()),
        **measure_episodes(completions, scores),
        "criteria": measure_criteria(scores),
        **{f"learned/{name}": value for name, value in average_learned(scored).items()},
    }


def measure_episodes(completions: Sequence[Completion], scores: Sequence[Score]) -> dict[str, Any]:
    """Of episodes: turns of the policy, tokens of the world, each a mean, and how many ended in which way,
    those whose world gave no reply by the kind of failure; and where turns are paid, what of the reward the
    first, the second, ... earned by itself, each the mean over the scored episodes that have it. {} where
    none has turns."""
    played = [completion for completion in completions if completion.turns]
    if not played:
        return {}
    turns = [sum(turn.role == "policy" for turn in completion.turns) for completion in played]
    foreign = [len(completion.ids) - completion.tokens for completion in played]
    ends = Counter(completion.finish_reason for completion in played)
    return {
        "episodes": {
            "turns": fmean(turns),
            "world_tokens": fmean(foreign),
            "ended": dict(sorted(ends.items())),
            **measure_turn_rewards(scores),
        }
    }


def measure_turn_rewards(scores: Sequence[Score]) -> dict[str, Any]:
    """What turns earned, by their number from 1, up to MOST_TURNS; {} where none is paid."""
    turns = list(zip_longest(*(score.by_turn for score in scores)))[:MOST_TURNS]
    means = {str(number): fmean(r for r in earned if r is not None) for number, earned in enumerate(turns, 1)}
    return {"turn_rewards": means} if means else {}


def measure_kl(batch: Batch) -> dict[str, float]:
    """KL of the sampling policy to the reference by k1 over whole completions, in nats;
    nothing without a reference."""
    if batch.ref_logprobs_BT is None:
        return {}
    kl_BT = torch.where(batch.own_BT, batch.sampled_logprobs_BT - batch.ref_logprobs_BT, 0.0)
    return {"kl_per_completion": float(kl_BT.sum(1).mean())}


def measure_criteria(scores: Sequence[Score]) -> dict[str, Any]:
    """Of each criterion of the rubric: mean and standard deviation of what it brings into the reward, and its
    mean share of the reward's weights, over the completions where it does, and how often it found what, over
    all."""
    measured: dict[str, Any] = {}
    for name in dict.fromkeys(name for score in scores for name in score.parts):
        amounts = list_amounts(scores, name)
        counts = Counter(str(score.parts[name].status) for score in scores if name in score.parts)
        spread = {"mean": fmean(amounts), "std": pstdev(amounts)} if amounts else {}
        weights = [score.weights[name] for score in scores if name in score.weights]
        share = {"weight": fmean(weights)} if weights else {}
        measured[name] = {**spread, **share, "statuses": dict(counts)}
    return measured


def average_learned(scores: Sequence[Score]) -> dict[str, float]:
    """Mean of each reward model's normalised rewards, in standard deviations."""
    names = {name for score in scores for name in score.learned}
    return {
        name: mean(score.learned[name] for score in scores if name in score.learned) for name in sorted(names)
    }


def measure_update(result: StepResult) -> dict[str, Any]:
    """What the update says: statistics of the loss, gradient norm, agreement of sampler and update (nats)."""
    return {
        **(summarise_stats(result.stats) if result.stats is not None else {}),
        "logprob_difference_mean": result.logprob_difference_mean,
        "logprob_difference_max": result.logprob_difference_max,
        "grad_norm": result.grad_norms[-1] if result.grad_norms else 0.0,
        "updates": result.updates,
        **measure_kl(result.batch),
        **result.extra,
    }


def measure_staleness(groups: Sequence[Group], config: TrainConfig, updates: int) -> dict[str, Any]:
    """How many updates the weights that drew the completions were behind, mean and most; nothing where
    sampling never runs ahead. updates: done when this step's began."""
    if not config.rollouts.staleness:
        return {}
    lags = [updates - completion.version for group in groups for completion in group.completions_G]
    return {"staleness": {"mean": mean(lags), "max": max(lags)}}


def measure_costs(groups: Sequence[Group], seconds: dict[str, float]) -> dict[str, Any]:
    """What the step cost: seconds by phase, tokens per second over all of it,
    peak memory in MiB of the GPU or process."""
    tokens = count_tokens(groups)
    peak = (
        torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else read_resident_peak_mib()
    )
    return {"seconds": seconds, "tokens_per_second": tokens / sum(seconds.values()), "peak_memory_mib": peak}


def measure_sync(report: SyncReport | None) -> dict[str, Any]:
    """How far the engine was from the trainer after its last load (nats per token), and the seconds that the
    load and its proof took, and completions were held back for it; {} where nothing was loaded."""
    if report is None:
        return {}
    return {
        "sync": {
            "difference_mean": report.difference,
            "difference_max": report.worst,
            "load_seconds": report.load_seconds,
            "proof_seconds": report.seconds,
            "held_seconds": report.held,
        }
    }


@dataclass(frozen=True)
class Shadow:
    """A stricter rubric's rewards of a share of a step's rollouts, by their place among all of the step, or
    the scores that they come from, while these are still made."""

    known: Mapping[int, float]
    coming: Mapping[int, Future[Score]]

    def collect(self) -> dict[int, float]:
        """The rewards, once all are there. What could not be scored has none."""
        strict = {place: score.result() for place, score in self.coming.items()}
        return {**self.known, **{place: s.reward for place, s in strict.items() if not s.abstained}}


def score_shadow(
    groups: Sequence[Group], task: Task, share: float, seed: object, beside: Beside = run_at_once
) -> Shadow:
    """Have a stricter rubric score a share of the rollouts: the task's own shadow rubric where it has one;
    else the strictest reading of its rubric, every criterion correct. beside: calls a function, at once or
    beside what follows."""
    known: dict[int, float] = {}
    coming: dict[int, Future[Score]] = {}
    place = -1
    for group in groups:
        for sample, (completion, score) in enumerate(zip(group.completions_G, group.scores_G, strict=True)):
            place += 1
            chosen = digest("shadow", seed, group.problem.id, sample) < share * 2**64
            if not chosen or score.abstained:
                continue
            shadow = task.find_member(group.problem.id).shadow
            if shadow is None:
                known[place] = float(all(verdict.correct for verdict in score.parts.values()))
            else:
                coming[place] = beside(shadow.score, completion, group.problem)
    return Shadow(known, coming)


def measure_shadow(groups: Sequence[Group], shadow: Mapping[int, float]) -> dict[str, Any]:
    """The stricter rubric's mean reward beside the training reward of the same rollouts; {} for none.

    A gap that grows while the reward rises is the sign of a hacked reward.
    """
    if not shadow:
        return {}
    rewards = [score.reward for group in groups for score in group.scores_G]
    reward, strict = mean(rewards[place] for place in shadow), mean(shadow.values())
    return {
        "shadow": {
            "reward": reward,
            "shadow_reward": strict,
            "gap": reward - strict,
            "completions": len(shadow),
        }
    }


def read_resident_peak_mib() -> float:
    """Highest resident size of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
