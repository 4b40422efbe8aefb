"""Models that were taught a little of a task, so that groups have a signal."""

from pathlib import Path

from palaestra.tasks.core.task import Task
from palaestra.trainer.config.sft import SFTConfig
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.model.prompts import PromptFormat
from palaestra.trainer.sft.fit import draw_training_problems, encode_demonstrations, fit


def teach(task: Task, folder: Path, problems: int = 500, steps: int = 40) -> Path:
    """Write to `folder` an embedded model that is right now and then, by SFT on the task's own answers."""
    policy = load_policy("embedded", "cpu", "float32", seed=1)
    shown = draw_training_problems(task, problems, 1, None)
    data = encode_demonstrations(PromptFormat.of(policy.tokenizer), task, shown, 1, 128)
    fit(policy, task, data, SFTConfig.of(seed=1, steps=steps))
    policy.save(folder)
    return folder
