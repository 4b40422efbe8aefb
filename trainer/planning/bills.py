"""The memory of a planned run, card by card: the sizes and the bill that the trainer itself would choose
(`model/fit.py`), and a vLLM server's.

All amounts are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...tasks.core.errors import UserError
from ..config.plan import HardwareConfig
from ..config.settings import resolve
from ..config.train import TrainConfig
from ..model.fit import LEAST_TOKENS, SHARE, plan
from ..model.measure import Passes
from ..model.memory import HeldModel, bill, sleeps_between_steps, weight_bytes
from ..model.policy import Policy
from ..model.sharded import bill_shard
from .cards import GIB, Card
from .shapes import Shape

CONTEXT = 0.6 * GIB  # that CUDA takes for itself on a card, about
SERVER_SHARE = 0.9  # of a card that vLLM takes, as its gpu_memory_utilization has it by default
SERVER_FIXED = 2.5 * GIB  # of it for activations and captured graphs, about


@dataclass(frozen=True)
class CardBill:
    """What one card holds. held: all the time, by name.  phases: beside it, one at a time.  rows: sampled at
    once, 0 for a card that does not sample.  tokens: of a micro-batch, 0 for a card that only samples.
    available: that the plan may use.  replica: cards that hold one copy of vLLM's weights."""

    held: Mapping[str, int]
    phases: Mapping[str, int]
    rows: int
    tokens: int
    available: int
    replica: int = 1

    @property
    def total(self) -> int:
        return sum(self.held.values()) + max(self.phases.values(), default=0)

    @property
    def fits(self) -> bool:
        return self.total <= self.available


def bill_trainer(
    policy: Policy, config: TrainConfig, taken: HardwareConfig, card: Card, shape: Shape, passes: Passes
) -> CardBill:
    """A card that trains (and samples, unless others do), with the sizes that the trainer would choose; where
    nothing fits, the bill of the smallest."""
    per_card = -(-config.rollouts.prompts_per_step // taken.gpus)
    part = config.but(prompts_per_step=per_card, eval_problems=per_card, eval_samples=1)
    samples, server = taken.engine == "local", None
    if not samples and not taken.sampler_gpus:
        server = bill_server(shape, config, card, taken.gpus, taken.engine_memory)
    held = []
    if config.objective.loss.kl_coef and not config.model.lora_rank:
        held.append(HeldModel("reference", weight_bytes(policy.model)))
    available = int(card.memory - (CONTEXT if policy.device.type == "cuda" else 0))
    beside = server.available if server else 0
    shards = taken.gpus if taken.shard == "fsdp" else 1
    loaded = weight_bytes(policy.model)
    free = available - loaded
    try:
        one = plan(policy, part, held, free, lambda *_: passes, shards, server=beside)
    except UserError:
        left_open = {"fast_path": part.rollouts.fast_path, "keep_sampler": part.rollouts.keep_sampler}
        smallest = part.but(**{name: "no" for name, asked in left_open.items() if asked == "auto"})
        tokens = resolve(config.optimizer.tokens_per_microbatch, LEAST_TOKENS)
        sleeps = sleeps_between_steps(policy.device, smallest)
        free, slept = (free, beside) if sleeps else (free - beside, 0)
        one = bill(policy, smallest, held, resolve(part.rollouts.rows, 1), tokens, free, passes, slept)
        one = bill_shard(one, policy, shards) if shards > 1 else one
    fixed = dict(one.fixed)
    rows = min(one.rows, per_card * config.rollouts.group_size) if samples else 0
    allowed = max(0, one.total + int(one.find_slack(loaded, SHARE)))
    if server:
        rows = server.rows
        if not one.served:  # else it is one of the phases
            fixed["vLLM's server"] = server.available
            allowed += server.available
    return CardBill(fixed, one.phases, rows, one.tokens, allowed, server.replica if server else 1)


def bill_server(
    shape: Shape, config: TrainConfig, card: Card, cards: int, share: float = SERVER_SHARE
) -> CardBill:
    """A card of a vLLM server, in bfloat16: its share of the weights, and keys and values of as many rows as
    the rest holds. Weights are spread over as few cards (1, 2, 4, ...) as leave half of each for rows; the
    others hold further copies. share: of each card's memory that is the server's.

    Raises UserError where the weights do not fit on all of the cards together.
    """
    room = share * card.memory - SERVER_FIXED
    weights, spread = 2 * shape.parameters, 1
    while weights / spread > room / 2 and 2 * spread <= cards:
        spread *= 2
    longest = config.rollouts.max_prompt_tokens + config.rollouts.max_new_tokens
    row = 2 * shape.kv_numbers * longest / spread
    left = room - weights / spread
    if left < row:
        raise UserError(
            f"vLLM's weights of {shape.name} take {weights / GIB:.0f} GiB in bfloat16, and {share:.0%} of "
            f"{cards} card(s) of {card.memory / GIB:.0f} GiB leave no room for one row of {longest} tokens "
            "beside them: give it more cards (--sampler-gpus, --gpus), larger ones (--gpu), or more of those "
            "that it shares (--engine-memory)."
        )
    copies = max(1, cards // spread)
    wanted = -(-config.rollouts.prompts_per_step * config.rollouts.group_size // copies)
    rows = min(int(left / row), wanted)
    held = {
        "weights": int(weights / spread),
        f"keys and values of {rows} rows": int(rows * row),
        "activations and graphs": int(SERVER_FIXED),
    }
    return CardBill(held, {}, rows, 0, int(share * card.memory), spread)
