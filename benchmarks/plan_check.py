"""The seconds of `palaestra plan --gpu here` beside those of steps that are taken here.

    python benchmarks/plan_check.py            # this machine, all of torch's threads; two minutes

Models of random weights sample completions of exactly the planned length and are updated on them; the fastest
of some tries counts, as it does for the bandwidth and the arithmetic that the plan is made of. The table of
docs/scale.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import palaestra as pal
import torch
from counts import make_batch
from palaestra.trainer.algorithms.base import Learner
from palaestra.trainer.algorithms.grpo import GRPO
from palaestra.trainer.algorithms.update import add_gradient
from palaestra.trainer.config.plan import PlanConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model import optim
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.model.policy import Policy
from palaestra.trainer.model.sequences import Sequences
from palaestra.trainer.objective.losses import count_denominators
from palaestra.trainer.planning.passes import make_policy
from palaestra.trainer.planning.plan import plan_run
from palaestra.trainer.planning.shapes import Shape, find_shape

TRIES = 3
MIDDLE = Shape("25M", "qwen3", 512, 1408, 8, 8, 2, 4096, True, 64)
CASES = (
    (find_shape("embedded"), 8, 8, 32, 64),
    (MIDDLE, 4, 8, 32, 64),
    (find_shape("smollm2-135m"), 2, 8, 32, 32),
)
"""(shape, problems, completions of each, tokens of a prompt, of a completion)"""


def time_step(shape: Shape, problems: int, group: int, prompt: int, completion: int) -> dict[str, float]:
    """Seconds of sampling, and of the update with its optimizer step."""
    config = TrainConfig.of(device="cpu", dtype="float32", rows=problems * group)
    torch.manual_seed(0)
    policy = make_policy(shape, config, "cpu", empty=False)
    policy = Policy(policy.model, make_character_tokenizer(), policy.device, torch.float32, shape.name)
    engine = pal.LocalEngine(policy, problems * group)
    engine.end_ids = []
    requests = [pal.Request([5 + place, *range(20, 19 + prompt)], group, place) for place in range(problems)]
    sampling = pal.Sampling(max_new_tokens=completion)
    prompts = [list(request.ids) for request in requests for _ in range(group)]
    texts = [[row, *range(30, 29 + completion)] for row in range(problems * group)]
    batch = make_batch(problems, group, prompt, completion)
    batch = replace(batch, sequences=Sequences.of(prompts, texts))
    learner = Learner(policy, optim.adamw(policy.model, config.optimizer, 0), GRPO(policy, config))

    def learn() -> None:
        add_gradient(learner, batch, count_denominators(batch.mask_BT, completion), 2048)
        optim.update(policy.model, learner.optimizer, 1e-6, 1.0)

    return {"sampling": take_time(lambda: engine.sample(requests, sampling)), "update": take_time(learn)}


def take_time(run: Callable[[], object]) -> float:
    """Seconds of the fastest of some runs after a first."""
    run()
    found = []
    for _ in range(TRIES):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return min(found)


def main() -> None:
    print("| model | step | sampling: planned, measured (s) | update: planned, measured (s) |")
    print("| --- | --- | --- | --- |")
    for shape, problems, group, prompt, completion in CASES:
        plan = plan_run(
            PlanConfig.of(
                model=shape.name if shape is not MIDDLE else str(write_config()),
                gpu="here", prompts_per_step=problems, group_size=group, max_prompt_tokens=prompt,
                max_new_tokens=completion,
            )
        )  # fmt: skip
        seconds = time_step(shape, problems, group, prompt, completion)
        planned = plan.seconds
        print(
            f"| {shape.name}, {shape.parameters / 1e6:.1f} M | {problems} x {group} x ({prompt} + "
            f"{completion}) | "
            f"{planned.sampling:.3f}, {seconds['sampling']:.3f} | {planned.training:.3f}, "
            f"{seconds['update']:.3f} |",
            flush=True,
        )


def write_config() -> str:
    """A config.json of the shape that is of no public model."""
    import json
    import tempfile
    from pathlib import Path

    from palaestra.trainer.planning.passes import make_config

    path = Path(tempfile.mkdtemp()) / "config.json"
    path.write_text(json.dumps(make_config(MIDDLE).to_dict()))
    return str(path)


if __name__ == "__main__":
    main()
