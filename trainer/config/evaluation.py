"""Settings of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EvalConfig:
    """Measure a model's pass-rate, or what a reward model thinks of it, on a task's held-out problems."""

    task: str = "addition"
    """Name of a task, or the path of a file that defines one."""
    model: str = ""
    """Hub id or folder of a causal language model. Must be given."""
    option: tuple[str, ...] = ()
    """Options of the task, each as name=value."""
    data: str = ""
    """For a dataset task: a local file or folder to read in place of the hub."""
    allow_weak_sandbox: bool = False
    """For a task that runs programs: run them even where Landlock, seccomp or resource limits are missing."""
    level: int = 0
    """Level of a procedural task; 0 goes round all of its levels."""
    split: str = "test"
    """Split to evaluate on."""
    problems: int = 0
    """Problems; 0 takes the whole split of a dataset, 500 of a procedural task."""
    samples: int = 1
    """Completions of each problem; pass@k is given for k up to it."""
    temperature: float = 0.0
    """Sampling temperature; 0 is greedy (then one sample is enough)."""
    top_p: float = 1.0
    """Nucleus sampling: the fewest tokens whose probability reaches this, above 0 to 1."""
    top_k: int = 0
    """Sample among the k most likely tokens; 0 for all."""
    max_new_tokens: int = 512
    """Tokens after which a completion is cut."""
    max_prompt_tokens: int = 3072
    """Tokens that a prompt may have; a longer one counts as not passed and is reported."""
    extraction: Literal["strict", "lenient"] = "strict"
    """Which answers are read: strict as in training, in the task's own form; lenient, for models that were told no form,
    any mark and then plain prose too ("The answer is 42"). The report names it; compare only like with like."""
    stop: tuple[str, ...] = ()
    """Texts that end a completion."""
    rows: int = 256
    """Completions decoded at once."""
    reward_model: tuple[str, ...] = ()
    """Folder or hub id of a reward model: for the task's learned criterion (name=FOLDER where it has several), or, for a
    task without one, to be reported beside the pass-rate."""
    baseline: str = ""
    """Folder of an earlier evaluation of the same problems: how often its completions are beaten is reported."""
    out: str = ""
    """Folder for completions.jsonl and summary.json; default runs/eval-TASK-MODEL."""
    seed: int = 0
    """Seed of the problems and of the sampling."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to run; auto takes a GPU when there is one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Weights and arithmetic; auto is bfloat16 on a GPU that has it, float32 elsewhere."""
    threads: int = 0
    """CPU threads; 0 takes all."""
