"""A rubric inside TRL: palaestra's problems and rewards, TRL's trainer. Needs `pip install trl`.

    python examples/trl_reward.py

`trl_rows` gives prompts and ids, so no reference is in the table; `trl_reward` finds each problem by its id
and scores the completion. Where the rubric abstains the reward is None, which TRL leaves out of its means.
"""

from __future__ import annotations

from typing import Any

import palaestra as pal


def main(
    model: str = "Qwen/Qwen2.5-0.5B-Instruct", out: str = "runs/trl", rows: int = 1000, **settings: Any
) -> None:
    """Train on `rows` problems. settings: of TRL's GRPOConfig."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer  # pyrefly: ignore[missing-import]

    trainer = GRPOTrainer(
        model=model,
        reward_funcs=[pal.trl_reward("gcd")],
        args=GRPOConfig(output_dir=out, **settings),
        train_dataset=Dataset.from_list(pal.trl_rows("gcd", count=rows)),
    )
    trainer.train()


if __name__ == "__main__":
    main()
