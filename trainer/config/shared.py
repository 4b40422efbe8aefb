"""The groups of settings that several commands share. They mean the same wherever they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from .settings import Amount, Auto, Count, Flag, Natural, Positive, Range, Seed, Settings, Share, Threads


@dataclass(frozen=True)
class CommandConfig(Settings):
    """What every command has."""

    seed: Seed = 0
    """Seed of everything random."""


@dataclass(frozen=True)
class RunConfig(CommandConfig):
    """What every command that trains has."""

    steps: Count = 100
    """Optimization steps; of `train`, batches of rollouts."""
    stop_after: Natural = 0
    """Stop after this many steps with the state saved, as Ctrl-C would; `palaestra resume` goes on.
    0 runs to the end."""


@dataclass(frozen=True)
class TaskConfig(Settings):
    """Which problems."""

    name: Annotated[str, Flag("task")] = "addition"
    """Name of a task (`palaestra tasks` lists them), or the path of a file that defines one."""
    option: tuple[str, ...] = ()
    """Options of the task, each as name=value."""
    data: str = ""
    """For a dataset task: a local file or folder to read (JSONL, JSON, Parquet) in place of the hub."""
    level: Count | Literal["all"] = "all"
    """Level of a procedural task; all goes round its levels."""

    @property
    def single_level(self) -> int | None:
        """The level, None for all of them."""
        return None if self.level == "all" else self.level


@dataclass(frozen=True)
class ScoredTaskConfig(TaskConfig):
    """Which problems, and on what terms their programs run."""

    allow_weak_sandbox: bool = False
    """For a task that runs programs: run them even where Landlock, seccomp or resource limits are missing."""


@dataclass(frozen=True)
class ModelConfig(Settings):
    """Which model, and where it runs."""

    source: Annotated[str, Flag("model")] = "embedded"
    """Hub id or folder of a causal language model; "embedded" makes a fresh one of 0.39 M parameters."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to run; auto takes a GPU when there is one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of matrix products; auto is bfloat16 on a GPU that has it, float32 elsewhere."""
    threads: Threads | Auto = "auto"
    """CPU threads; auto times a step with 1 and with all, and takes the faster (an evaluation takes all)."""


@dataclass(frozen=True)
class LoraConfig(Settings):
    """Low-rank adapters in place of all weights."""

    lora_rank: Natural = 0
    """Train low-rank adapters of this rank on all linear layers and fused experts in place of the weights
    (needs PEFT); 0 trains all weights. The run's models are saved with the adapters merged and the adapters
    beside them, and a KL penalty needs no second model."""
    lora_alpha: Positive | Auto = "auto"
    """What the adapters' product is multiplied by, times the rank (PEFT's lora_alpha); auto is twice the
    rank."""
    lora_targets: tuple[str, ...] = ()
    """Names of the only weights that carry adapters, such as q_proj v_proj; none: all that can, but for the
    head."""


@dataclass(frozen=True)
class OptimizerConfig(Settings):
    """AdamW, its schedule, and how a step is cut into micro-batches."""

    learning_rate: Positive | Auto = "auto"
    """Peak learning rate. auto, below and above 10 M parameters: 3e-4 and 1e-6 in `train`, 3e-3 and 1e-5 in
    `sft`, 1e-3 and 1e-5 in `reward-model`; with LoRA ten times as much."""
    warmup_steps: Natural = 5
    """Steps of linear warm-up of the learning rate."""
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    """Shape of the learning rate after the warm-up."""
    final_learning_rate: Share = 0.1
    """Last learning rate as a share of the peak, 0 to 1."""
    beta2: Annotated[float, Range(0, 1, open_high=True)] | Auto = "auto"
    """Decay of AdamW's second moment per step (the first moment's is 0.9);
    auto is 0.98 below 10 M parameters, 0.999 above."""
    weight_decay: Amount = 0.0
    """Decoupled weight decay of AdamW on matrices."""
    max_grad_norm: Positive = 1.0
    """Norm to which the gradient is clipped."""
    tokens_per_microbatch: Count | Auto = "auto"
    """Tokens in one forward and backward pass: the memory knob, it does not change the gradient. auto takes
    what fits, up to 2048 in `train` on a CPU (more is no faster there) and 32768 on a GPU;
    16384 in `sft` and `reward-model`."""


@dataclass(frozen=True)
class MeasurementConfig(Settings):
    """Measurements on held-out examples during the run."""

    eval_every: Natural = 50
    """Steps between measurements on held-out examples; 0 only before and after."""


@dataclass(frozen=True)
class HeldOutConfig(MeasurementConfig):
    """Measurements on a task's held-out problems during the run."""

    eval_problems: Count = 200
    """Held-out problems of a measurement; of `sft --pairs`, rows at most."""


@dataclass(frozen=True)
class FolderConfig(Settings):
    """Where things are written."""

    out: str = "auto"
    """Folder of all that is written; auto is one in runs/, named after what is trained or evaluated."""


@dataclass(frozen=True)
class OutputConfig(FolderConfig):
    """Where the run is kept."""

    save_every: Natural = 50
    """Steps between checkpoints; 0 only when the run stops."""
    keep: Count = 3
    """Newest checkpoints to keep; the best by held-out pass-rate stays beside them."""
    log: tuple[str, ...] = ()
    """Further loggers: tensorboard, wandb (each an extra to install)."""
