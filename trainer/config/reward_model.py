"""Settings of a reward model's fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .objective import PreferenceConfig


@dataclass(frozen=True)
class RewardModelConfig:
    """Fit a reward model to comparisons of answers (Bradley-Terry)."""

    data: tuple[str, ...] = ()
    """Files of comparisons: columns prompt, chosen, rejected (texts, chats, or transcripts without a prompt), or prompt
    with answers, best first. JSONL, JSON, Parquet, also gzipped. Must be given."""
    eval_data: tuple[str, ...] = ()
    """Files of held-out comparisons; default: a share of the prompts in --data."""
    eval_share: float = 0.1
    """Share of the prompts that is held out when --eval-data is not given, above 0 and below 1."""
    model: str = "embedded"
    """Hub id or folder of the causal language model to start from: the SFT model."""
    task: str = ""
    """Task whose instruction stands after each prompt, as in the rollouts that will be judged; default: none."""
    out: str = ""
    """Folder of the run; default runs/reward-model-SEED."""
    seed: int = 0
    """Seed of the order of the data."""
    steps: int = 500
    """Optimization steps."""
    batch_size: int = 32
    """Prompts in a step, with all of their answers."""
    max_tokens: int = 1024
    """Tokens that a prompt with an answer may have; comparisons with a longer one are left out and counted."""
    loss: PreferenceConfig = field(default_factory=PreferenceConfig)
    learning_rate: float = 0.0
    """Peak learning rate of AdamW; 0 takes 1e-3 below 10 M parameters and 1e-5 above."""
    warmup_steps: int = 20
    """Steps of linear warm-up of the learning rate."""
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """Shape of the learning rate after the warm-up."""
    final_learning_rate: float = 0.0
    """Last learning rate as a share of the peak, 0 to 1."""
    weight_decay: float = 0.0
    """Decoupled weight decay of AdamW on matrices."""
    max_grad_norm: float = 1.0
    """Norm to which the gradient is clipped."""
    tokens_per_microbatch: int = 16384
    """Tokens in one forward and backward pass, padding included. It does not change the gradient."""
    eval_every: int = 100
    """Steps between evaluations; 0 only before and after."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to run; auto takes a GPU when there is one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic; auto is bfloat16 on a GPU that has it, float32 elsewhere."""
    threads: int = 0
    """CPU threads; 0 times a step with 1 and with all, and takes the faster."""
