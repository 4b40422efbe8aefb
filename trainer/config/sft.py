"""Settings of supervised fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SFTConfig:
    """Imitate a task's demonstrations, or pairs and chats from files (loss on completion tokens only)."""

    task: str = "addition"
    """Name of a task, or the path of a file that defines one."""
    option: tuple[str, ...] = ()
    """Options of the task, each as name=value."""
    data: str = ""
    """For a dataset task: a local file or folder to read in place of the hub."""
    level: int = 0
    """Level of a procedural task; 0 goes round all of its levels."""
    pairs: tuple[str, ...] = ()
    """In place of a task: files (or hub ids) of rows with prompt and completion, or with messages (a chat)."""
    eval_share: float = 0.05
    """Share of the prompts in --pairs that is held out, 0 to 1."""
    model: str = "embedded"
    """Hub id or folder of a causal language model; "embedded" makes a 0.39 M parameter one."""
    out: str = ""
    """Folder of the run; default runs/TASK-sft-SEED, runs/pairs-sft-SEED."""
    seed: int = 0
    """Seed of everything random."""
    steps: int = 1200
    """Optimization steps."""
    batch_size: int = 32
    """Demonstrations in a step."""
    demonstrations: int = 20000
    """Different demonstrations to draw from; a dataset with fewer gives all it has."""
    max_tokens: int = 1024
    """Tokens that a prompt with its completion may have; longer ones are left out and counted."""
    learning_rate: float = 0.0
    """Peak learning rate of AdamW; 0 takes 3e-3 below 10 M parameters and 1e-5 above."""
    warmup_steps: int = 50
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
    eval_problems: int = 200
    """Held-out problems, or rows of --pairs at most, on which the loss is measured."""
    eval_every: int = 200
    """Steps between measurements of the held-out loss; 0 only before and after."""
    save_every: int = 200
    """Steps between checkpoints; 0 only when the run is stopped."""
    stop_after: int = 0
    """Stop after this many steps with the state saved, as Ctrl-C would; `palaestra resume` goes on. 0 runs to the end."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to run; auto takes a GPU when there is one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Weights and arithmetic; auto is bfloat16 on a GPU that has it, float32 elsewhere."""
    threads: int = 0
    """CPU threads; 0 times a step with 1 and with all, and takes the faster."""
