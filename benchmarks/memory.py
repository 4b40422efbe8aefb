"""The bill of a training run for public models by their shapes alone: no weights are fetched or made.

    python benchmarks/memory.py                          # every model, part by part; 4 GiB of memory, minutes
    python benchmarks/memory.py qwen2.5-7b --card 79.6   # one, for a card of so many GiB

What a pass holds is measured on small models of the same kind (`palaestra.trainer.planning.passes`). Nothing
here was measured on a GPU. The tables of docs/recipes.md and docs/gpu.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace

from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model.fit import plan
from palaestra.trainer.model.memory import Bill, HeldModel, weight_bytes
from palaestra.trainer.planning.passes import Learns, foretell, make_policy
from palaestra.trainer.planning.shapes import Shape, find_shape

GIB = 2**30
CARD = 79.6  # GiB that an H100 of "80 GB" reports
CONTEXT = 0.6  # GiB of it that CUDA takes for itself, about
MODELS = ("smollm2-135m", "qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-7b", "qwen2.5-32b")
SETTINGS = TrainConfig.of(
    task="gsm8k", max_prompt_tokens=512, max_new_tokens=1024, prompts_per_step=32, group_size=8,
    dtype="bfloat16",
)  # fmt: skip
SMALL = {"weights": "bfloat16", "moments": "8bit", "gradient_checkpointing": True}
ARMS: dict[str, dict[str, object]] = {
    "all weights": {},
    "all weights, KL to a reference": {"loss.kl_coef": 0.04},
    "all weights, gradient checkpointing": {"gradient_checkpointing": True},
    "all weights in bfloat16, moments in 8 bits, gradient checkpointing": SMALL,
    "the same, KL to a reference": {**SMALL, "loss.kl_coef": 0.04},
    "LoRA of rank 64": {"lora_rank": 64},
    "LoRA of rank 64, weights in bfloat16, moments in 8 bits, gradient checkpointing": {
        "lora_rank": 64, **SMALL,
    },
}  # fmt: skip


def weigh(shape: Shape, settings: Mapping[str, object], card: float = 0.0) -> Bill:
    """The bill of one run. card: GiB of the card that its sizes are to fit, 0 for one of 1000.

    Raises UserError where it does not fit.
    """
    arm = SETTINGS.but(**settings)
    policy = make_policy(shape, arm, "cuda")
    held = []
    if arm.objective.loss.kl_coef and not arm.model.lora_rank:
        held.append(HeldModel("reference", weight_bytes(policy.model)))
    learns = Learns.of(arm)
    free = int((card - CONTEXT) * GIB) - weight_bytes(policy.model) if card else 1000 * GIB
    if not card:
        arm = arm.but(rows=256, tokens_per_microbatch=16384)
    bill = plan(policy, arm, held, available=free, measure=lambda *_: foretell(shape, learns))
    return replace(bill, available=free)


def describe(bill: Bill) -> str:
    """Cells of a table, in GiB: each part that is held, the gradients, each phase beside them, the most."""
    held = ", ".join(f"{name} {size / GIB:.1f}" for name, size in bill.fixed.items() if size)
    phases = ", ".join(f"{name} {size / GIB:.1f}" for name, size in bill.phases.items())
    path = ", the model's own forward pass" if bill.fast_path == "no" else ""
    return f"{held} | {bill.gradients / GIB:.1f} | {phases}{path} | {bill.total / GIB:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "models", nargs="*", help=f"hub ids or config.json files; {', '.join(MODELS)} where none is given"
    )
    parser.add_argument(
        "--card", type=float, default=0.0, help="GiB that the sizes are to fit; 0: 256 rows, 16384 tokens"
    )
    parser.add_argument("--arm", default="", help="only what learns so, by its first words")
    options = parser.parse_args()
    print("| model | what learns | held | gradients | beside it, one at a time | at most |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in options.models or MODELS:
        for arm, settings in ARMS.items():
            if not arm.startswith(options.arm):
                continue
            try:
                cells = describe(weigh(find_shape(name), settings, options.card))
            except UserError:
                cells = "does not fit | | |"
            print(f"| {name} | {arm} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
