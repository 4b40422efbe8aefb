"""A rubric inside TRL: palaestra's problems and rewards, TRL's trainer. Needs `pip install trl`.

    python examples/trl_reward.py

`as_dataset` gives prompts and ids; `trl_reward` finds each problem by its id and scores the completion. Where
the rubric abstains the reward is None, which TRL leaves out of its means. For a rubric that waits for
programs or a judge, `trl_reward(..., asynchronous=True)` scores a batch at once.
"""

from __future__ import annotations

from typing import Any

import palaestra as pal


def main(
    model: str = "Qwen/Qwen2.5-0.5B-Instruct", out: str = "runs/trl", rows: int = 1000, **settings: Any
) -> None:
    """Train on `rows` problems. settings: of TRL's GRPOConfig."""
    from trl import GRPOConfig, GRPOTrainer  # pyrefly: ignore[missing-import]

    trainer = GRPOTrainer(
        model=model,
        reward_funcs=[pal.trl_reward("gcd")],
        args=GRPOConfig(output_dir=out, **settings),
        train_dataset=pal.as_dataset("gcd", count=rows),
    )
    trainer.train()


if __name__ == "__main__":
    main()
