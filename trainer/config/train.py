"""The settings of each command. Every field is a flag of the same name; its text below it is the flag's help.

Nothing here imports torch, so `palaestra train --help` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .objective import AdvantageConfig, KLControlConfig, LossConfig, ValueConfig


@dataclass(frozen=True)
class WatchConfig:
    """Bounds on a step's metrics. A bound crossed in `patience` steps in a row stops the run; 0 switches a bound off."""

    entropy_min: float = 1e-4
    """Least mean entropy of the policy, in nats per token: below it, nothing is explored any more."""
    kl_max: float = 0.5
    """Largest KL of the updated policy from the one that sampled, in nats per token."""
    reference_kl_max: float = 0.0
    """Largest KL (k3) of the policy from the reference, in nats per token; only where there is a reference."""
    truncated_max: float = 0.95
    """Largest share of completions cut at the length limit, 0 to 1."""
    length_growth_max: float = 0.0
    """Largest mean length, as a multiple of the first step's."""
    extracted_min: float = 0.02
    """Least share of completions with an answer in the form that the verifier reads, 0 to 1."""
    logprob_difference_max: float = 0.0
    """Largest difference of one token's log-probability between sampler and update, in nats."""
    patience: int = 10
    """Steps in a row beyond a bound that stop the run."""


@dataclass(frozen=True)
class PPOConfig:
    """PPO's value model, its credit of tokens and its penalty for leaving the reference model."""

    critic: Literal["separate", "shared"] = "separate"
    """The value model: a model of its own, or a head on the policy's backbone (no second model in memory)."""
    critic_model: str = ""
    """Model that a separate value model starts from, such as a reward model's folder; default: the policy."""
    critic_learning_rate: float = 0.0
    """Learning rate of the value model, constant; 0 takes 1e-3 below 10 M parameters and 1e-5 above."""
    critic_warmup: int = 0
    """First steps in which only the value model (of a shared one, only the head) learns."""
    gamma: float = 1.0
    """Discount per token, in [0, 1]."""
    lam: float = 0.95
    """GAE's lambda, in [0, 1]: 1 credits with the whole return, 0 with one step and the next value."""
    whiten: bool = True
    """Scale the batch's advantages to mean 0 and variance 1."""
    value: ValueConfig = field(default_factory=ValueConfig)
    value_coef: float = 0.5
    """Weight of the value loss beside the policy loss; it matters for a shared value model."""
    kl: KLControlConfig = field(default_factory=KLControlConfig)
    kl_stop: float = 0.0
    """Stop the updates on a batch when the policy is this far from the sampling one, in nats per token; 0: never."""
    missing_eos_penalty: float = 0.0
    """Taken from the reward of a completion that was cut at the length limit, in the unit of the reward."""


@dataclass(frozen=True)
class TrainConfig:
    """Train a language model with GRPO or PPO on the reward of a task."""

    task: str = "addition"
    """Name of a task (`palaestra tasks` lists them), or the path of a file that defines one."""
    option: tuple[str, ...] = ()
    """Options of the task, each as name=value."""
    data: str = ""
    """For a dataset task: a local file or folder to read (JSONL, JSON, Parquet) in place of the hub."""
    allow_weak_sandbox: bool = False
    """For a task that runs programs: run them even where Landlock, seccomp or resource limits are missing."""
    level: int = 0
    """Level of a procedural task; 0 goes round all of its levels."""
    model: str = "embedded"
    """Hub id or folder of a causal language model; "embedded" makes a 0.39 M parameter one and warms it up with SFT."""
    sft_steps: int = 1200
    """Steps of SFT warm-up for the embedded model (32 demonstrations each); other models get none."""
    out: str = ""
    """Folder of the run; default runs/TASK-SEED."""
    seed: int = 0
    """Seed of everything random."""
    algorithm: Literal["grpo", "ppo"] = "grpo"
    """grpo compares the completions of a prompt with each other; ppo with what a value model expects."""
    steps: int = 100
    """Optimization steps (batches of rollouts)."""
    stop_after: int = 0
    """Stop after this many steps with the state saved, as Ctrl-C would; `palaestra resume` goes on. 0 runs to the end."""

    prompts_per_step: int = 32
    """Problems in a step."""
    group_size: int = 8
    """Completions of each problem; their mean reward is the baseline, so at least 2."""
    temperature: float = 1.0
    """Sampling temperature of the rollouts, above 0; the update uses it too."""
    max_new_tokens: int = 256
    """Tokens after which a completion is cut."""
    max_prompt_tokens: int = 1024
    """Tokens that a prompt may have; longer ones are left out and counted, never cut."""
    rows: int = 0
    """Completions decoded at once; 0 takes what fits into memory, up to 256 on a CPU and 1024 on a GPU."""

    preset: str = ""
    """Loss and advantages of a paper, such as grpo-deepseekmath, dapo, dr-grpo; single settings can still be changed."""
    loss: LossConfig = field(default_factory=LossConfig)
    advantages: AdvantageConfig = field(default_factory=AdvantageConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)
    reward_model: tuple[str, ...] = ()
    """Folder or hub id of a reward model, for the task's learned criterion (name=FOLDER where it has several)."""
    reward_model_share: float = 1.0
    """For a task without a learned criterion: share of the reward model in the reward, 0 to 1. At 1 the task's verifiers
    only measure, at 0 the reward model only measures."""
    updates_per_batch: int = 1
    """Passes over each batch of rollouts; 1 is strictly on-policy."""
    minibatches: int = 1
    """Optimizer steps in each pass over a batch."""
    overlong_cache: int = 0
    """Tokens before the length limit over which a penalty grows from 0 to 1 (DAPO's soft overlong penalty); 0: none."""
    mask_truncated: bool = False
    """Leave completions that were cut at the length limit out of the loss (DAPO's overlong filtering)."""
    resample: int = 0
    """Times that groups without a signal (all rewards equal) are replaced by new problems in a step; 0: never."""

    learning_rate: float = 0.0
    """Peak learning rate of AdamW; 0 takes 3e-4 below 10 M parameters and 1e-6 above."""
    warmup_steps: int = 5
    """Steps of linear warm-up of the learning rate."""
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    """Shape of the learning rate after the warm-up."""
    final_learning_rate: float = 0.1
    """Last learning rate as a share of the peak, 0 to 1."""
    weight_decay: float = 0.0
    """Decoupled weight decay of AdamW on matrices."""
    max_grad_norm: float = 1.0
    """Norm to which the gradient is clipped."""
    tokens_per_microbatch: int = 0
    """Tokens in one forward and backward pass: the memory knob, it does not change the gradient; 0 takes what fits, up to
    2048 on a CPU (more is no faster there) and 32768 on a GPU."""
    lora_rank: int = 0
    """Train low-rank adapters of this rank on all linear layers in place of the weights (needs PEFT); 0 trains all weights. The
    run's models are saved with the adapters merged, and a KL penalty needs no second model."""
    gradient_checkpointing: bool = False
    """Recompute each layer in the backward pass: activations of one layer at a time, about a third more time."""

    eval_every: int = 50
    """Steps between evaluations on held-out problems; 0 only before and after."""
    eval_problems: int = 200
    """Held-out problems of an evaluation."""
    eval_samples: int = 4
    """Completions of each held-out problem at the training temperature."""
    save_every: int = 50
    """Steps between checkpoints; 0 only at the end."""
    keep: int = 3
    """Newest checkpoints to keep; the best by held-out pass-rate stays beside them."""
    max_abstained: float = 0.25
    """Share of a step's completions that may be unscorable before the run stops, 0 to 1."""
    max_logprob_difference: float = 0.0
    """Mean difference of sampler's and update's log-probabilities (nats) that stops the run; 0: 1e-3 in fp32, 0.1 in bf16."""

    curriculum: bool = False
    """Prefer problems (of a dataset) or levels (of a procedural task) that are neither always nor never solved."""
    preflight_problems: int = 32
    """Problems sampled before the first step to see whether the run can learn; 0 skips it."""
    force: bool = False
    """Start although the preflight says that nothing can be learned."""
    watch: WatchConfig = field(default_factory=WatchConfig)
    control: Literal["none", "random", "format", "shuffled"] = "none"
    """A control arm: random rewards, the rewards of form alone, or references of other problems."""
    shadow_share: float = 0.25
    """Share of the rollouts that a stricter second rubric scores too; its gap to the reward warns of reward hacking."""
    log: tuple[str, ...] = ()
    """Further loggers: tensorboard, wandb (each an extra to install)."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to run; auto takes a GPU when there is one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Weights and arithmetic; auto is bfloat16 on a GPU that has it, float32 elsewhere."""
    threads: int = 0
    """CPU threads; 0 times a step with 1 and with all, and takes the faster."""
