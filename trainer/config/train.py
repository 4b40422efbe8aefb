"""The settings of `palaestra train`.

Nothing here imports torch, so `palaestra train --help` answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from .engine import EngineConfig
from .objective import KLControlConfig, ValueConfig
from .presets import ObjectiveConfig
from .settings import Amount, Auto, Count, Name, Natural, Positive, Settings, Share, TopP
from .shared import (
    HeldOutConfig,
    LoraConfig,
    ModelConfig,
    OptimizerConfig,
    OutputConfig,
    PromptConfig,
    RunConfig,
    ScoredTaskConfig,
    TrainedTaskConfig,
)


@dataclass(frozen=True)
class TrainTaskConfig(TrainedTaskConfig, ScoredTaskConfig):
    """Which problems are trained on, and on what terms their programs run."""


@dataclass(frozen=True)
class TrainedModelConfig(LoraConfig, ModelConfig):
    """Which model, what of it learns, and where it runs."""

    gradient_checkpointing: bool = False
    """Recompute each layer in the backward pass: activations of one layer at a time, about a
    third more time."""


@dataclass(frozen=True)
class RolloutConfig(Settings):
    """How completions are sampled."""

    prompts_per_step: Count = 32
    """Problems in a step."""
    group_size: Count = 8
    """Completions of each problem. Where their mean reward is the baseline, at least 2."""
    temperature: Positive = 1.0
    """Sampling temperature of the rollouts; the update uses it too."""
    top_p: TopP = 1.0
    """Nucleus sampling: the fewest tokens whose probability reaches this. The policy that is trained is the
    truncated one: what was left when a token was drawn is recorded, and the update normalises over that."""
    top_k: Natural = 0
    """Sample among the k most likely tokens; 0 for all. Trained likewise."""
    min_p: Share = 0.0
    """Sample among the tokens at least this times as likely as the most likely; 0 for all. Trained
    likewise."""
    max_new_tokens: Count = 256
    """Tokens after which a completion is cut."""
    max_prompt_tokens: Count = 1024
    """Tokens that a prompt may have; longer ones are left out and counted, never cut."""
    rows: Count | Auto = "auto"
    """Completions decoded at once; auto takes what fits into memory, up to 256 on a CPU and 1024 on a GPU."""
    mixture: Literal["fixed", "progress"] = "fixed"
    """Shares of a mixture's tasks (--task gsm8k:2,countdown@3:1): fixed keeps the weights, progress
    multiplies them by how fast each task's pass-rate moves."""
    fast_path: Literal["auto", "yes", "no"] = "auto"
    """Whether models of the dense family are decoded from a fused copy of their weights, which is as large as
    they are in the run's arithmetic; auto: where it fits beside them."""
    keep_sampler: Literal["auto", "yes", "no"] = "auto"
    """On a GPU, whether the sampler keeps its copy of the weights, its cache and its captured steps during an
    update; no frees them before it, and captures anew after it. auto: unless that allows 4 times the
    rows. A vLLM server that the run starts sleeps during updates with no, but not with --staleness; auto:
    where nothing fits otherwise."""
    staleness: Natural = 0
    """Updates that sampling may be ahead of, at most. 0: a step's completions are drawn by the policy that it
    updates, and the run can be repeated to the bit. Above, they are drawn beside the updates, by a copy of
    the weights, and the loss corrects for it; what was drawn by which weights is recorded."""
    curriculum: bool = False
    """Prefer problems (of a dataset) or levels (of a procedural task) that are neither always nor
    never solved."""


@dataclass(frozen=True)
class RewardConfig(Settings):
    """What the completions are paid for, beside the task's own rubric."""

    reward_model: tuple[str, ...] = ()
    """Folder or hub id of a reward model, for the task's learned criterion (name=FOLDER where it
    has several)."""
    reward_model_share: Share = 1.0
    """For a task without a learned criterion: share of the reward model in the reward. At 1 the task's
    verifiers only measure, at 0 the reward model only measures."""
    criterion_weight: tuple[str, ...] = ()
    """How a criterion's weight changes during the run, NAME=FROM:TO:UNTIL: multiplied by FROM at first and by
    TO (each 0 or more) after UNTIL steps (answer_tag=1:0.1:200), or once its own pass-rate over the last 10
    steps is UNTIL % (answer_tag=1:0.1:95%). `passed` and evaluations stay as they are."""
    control: Literal["none", "random", "format", "shuffled"] = "none"
    """A control arm: random rewards, the rewards of form alone, or references of other problems."""
    shadow_share: Share = 0.25
    """Share of the rollouts that a stricter second rubric scores too; its gap to the reward warns of
    reward hacking."""


@dataclass(frozen=True)
class PPOConfig(Settings):
    """PPO's critic (value model), its credit of tokens and its penalty for leaving the reference model."""

    prefixed: ClassVar[bool] = True

    critic: Literal["separate", "shared"] = "separate"
    """The critic: a model of its own (with LoRA it learns by adapters of its own), or a head on the policy's
    backbone (no second model in memory)."""
    critic_model: str = ""
    """Model that a separate critic starts from, such as a reward model's folder; none: the policy."""
    critic_learning_rate: Positive | Auto = "auto"
    """Learning rate of the critic, constant; auto takes 1e-3 below 10 M parameters and 1e-5 above, with LoRA
    ten times as much for a separate one."""
    critic_warmup: Natural = 0
    """First steps in which only the critic (of a shared one, only the head) learns."""
    gamma: Share = 1.0
    """Discount per token."""
    lam: Share = 0.95
    """GAE's lambda: 1 credits with the whole return, 0 with one step and the next value."""
    turn_rewards: bool = False
    """Place what the rubric pays for a turn of an episode at the turn's last token, the rest at the
    completion's (MT-PPO); else all of it stands at the completion's."""
    turn_gamma: Share | Auto = "auto"
    """Discount from a turn's last token to the first of the next turn, 0 to 1, in the place of gamma; 0.99 in
    Verlog (dual discounting, Chen et al. 2025); auto: gamma."""
    turn_lam: Share | Auto = "auto"
    """GAE's lambda there, 0 to 1; 0.95 in Verlog, with 1 for gamma and lam; auto: lam."""
    whiten: bool = True
    """Scale the batch's advantages to mean 0 and variance 1."""
    value: ValueConfig = field(default_factory=ValueConfig)
    value_coef: Amount = 0.5
    """Weight of the value loss beside the policy loss; it matters for a shared critic."""
    kl: KLControlConfig = field(default_factory=KLControlConfig)
    kl_stop: Amount = 0.0
    """Stop the updates on a batch when the policy is this far from the sampling one, in nats per
    token; 0: never."""
    missing_eos_penalty: Amount = 0.0
    """Taken from the reward of a completion that was cut at the length limit, in the unit of the reward."""


@dataclass(frozen=True)
class PassRateConfig(HeldOutConfig):
    """Measurements of the pass-rate on held-out problems during the run."""

    eval_samples: Count = 4
    """Completions of each held-out problem at the training temperature."""


@dataclass(frozen=True)
class WatchConfig(Settings):
    """Bounds on a step's metrics.

    A bound crossed in `patience` steps in a row stops the run; 0 switches a bound off.
    """

    prefixed: ClassVar[bool] = True

    entropy_min: Amount = 1e-4
    """Least mean entropy of the policy, in nats per token: below it, nothing is explored any more."""
    kl_max: Amount = 0.5
    """Largest KL of the updated policy from the one that sampled, in nats per token."""
    reference_kl_max: Amount = 0.0
    """Largest KL (k3) of the policy from the reference, in nats per token; only where there
    is a reference."""
    truncated_max: Share = 0.95
    """Largest share of completions cut at the length limit."""
    length_growth_max: Amount = 0.0
    """Largest mean length, as a multiple of the first step's."""
    extracted_min: Share = 0.02
    """Least share of completions with an answer in the form that the verifier reads."""
    logprob_difference_max: Amount = 0.0
    """Largest difference of one token's log-probability between sampler and update, in nats."""
    patience: Count = 10
    """Steps in a row beyond a bound that stop the run."""


@dataclass(frozen=True)
class GuardConfig(Settings):
    """What stops a run that has gone wrong, or that can't learn."""

    max_abstained: Share = 0.25
    """Share of a step's completions that may be unscorable before the run stops."""
    max_logprob_difference: Positive | Auto = "auto"
    """Mean difference of sampler's and update's log-probabilities (nats) that stops the run, in a step and
    in the proof after each load of the engine's weights; auto: 1e-3 in float32, 0.1 in bfloat16."""
    preflight_problems: Natural = 32
    """Problems sampled before the first step to see whether the run can learn; 0 skips it."""
    force: bool = False
    """Start although the preflight says that nothing can be learned."""
    watch: WatchConfig = field(default_factory=WatchConfig)


@dataclass(frozen=True)
class DeadlineConfig(Settings):
    """How long a phase of one process may last while others wait for it, in seconds.

    Past it the run of several processes ends: with a sentence, the stacks of all, and exit code 3.
    """

    prefixed: ClassVar[bool] = True

    start: Positive = 3600.0
    """Seconds for all that comes before the first step: models loaded, a warm-up's step."""
    sample: Positive = 3600.0
    """Seconds to sample a batch of completions."""
    verify: Positive = 1800.0
    """Seconds to wait for the verifiers once a batch is sampled."""
    gather: Positive = 600.0
    """Seconds for the processes to tell each other what they have."""
    update: Positive = 3600.0
    """Seconds between two sums over the processes in an update."""
    save: Positive = 3600.0
    """Seconds to write a checkpoint or the model."""
    sync: Positive = 600.0
    """Seconds to give the sampler the weights."""


@dataclass(frozen=True)
class RanksConfig(Settings):
    """Several processes for one run."""

    processes: Count = 1
    """Processes of the run on this machine, each with its share of the problems and of the gradient; on a
    GPU machine one for each card. Over several machines start them by torchrun, which takes its place."""
    shard: Literal["none", "fsdp"] = "none"
    """Whether each process holds the whole policy, or with fsdp its share of weights, gradients and moments
    by decoder block (FSDP2), beside one whole copy of the weights to sample with."""
    deadline: DeadlineConfig = field(default_factory=DeadlineConfig)


@dataclass(frozen=True)
class TrainConfig(RunConfig):
    """Train a language model on the reward of a task, by GRPO, PPO or an algorithm of your own.

    >>> import palaestra as pal
    >>> config = pal.TrainConfig.of(task="gcd", steps=20, preset="dapo", **{"loss.clip_high": 0.25})
    >>> config.task.name, config.objective.loss.clip_high, config.but(steps=5).steps
    ('gcd', 0.25, 5)
    """

    essential: ClassVar[tuple[str, ...]] = (
        "task", "option", "data", "prompt", "answer", "verify",
        "level", "model", "lora_rank", "algorithm", "preset", "steps", "seed",
        "prompts_per_step", "group_size", "max_new_tokens", "learning_rate", "loss.kl_coef", "reward_model",
        "eval_every", "eval_problems", "out",
    )  # fmt: skip

    for_algorithms: ClassVar[Mapping[str, str]] = {"ppo": "ppo"}
    """The groups that only some algorithms read, each with one that does."""

    sft_steps: Natural = 1200
    """Steps of SFT warm-up for the embedded model (32 demonstrations each); other models get none."""
    arms: str = ""
    """Runs beside this one, on the same problems and seeds, each compared with it problem by problem: a
    setting for each, with commas between arms and + between settings of one (control=random,
    short:preset=dr-grpo+max_new_tokens=64 with a name), or a file with a table for each; none: one run."""
    algorithm: Name = "grpo"
    """grpo compares the completions of a prompt with each other; ppo with what a critic expects; FILE.py
    or FILE.py:Name is one of your own (examples/own_algorithm.py)."""
    task: TrainTaskConfig = field(default_factory=TrainTaskConfig)
    model: TrainedModelConfig = field(default_factory=TrainedModelConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    rollouts: RolloutConfig = field(default_factory=RolloutConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    evaluation: PassRateConfig = field(default_factory=PassRateConfig)
    guards: GuardConfig = field(default_factory=GuardConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    ranks: RanksConfig = field(default_factory=RanksConfig)
