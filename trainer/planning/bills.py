"""The memory of a planned run, card by card: the trainer's own bill (`model/memory.py`), what sharding makes
of it, and a vLLM server's.

All amounts are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...tasks.core.errors import UserError
from ..config.plan import HardwareConfig
from ..config.settings import resolve
from ..config.train import TrainConfig
from ..model.measure import Passes
from ..model.memory import MOST_ROWS, MOST_TOKENS, SHARE, Bill, HeldModel, bill, weight_bytes
from ..model.policy import Policy
from .cards import GIB, Card
from .shapes import Shape

CONTEXT = 0.6 * GIB  # that CUDA takes for itself on a card, about
SERVER_SHARE = 0.9  # of a card that vLLM takes, as its gpu_memory_utilization has it by default
SERVER_FIXED = 2.5 * GIB  # of it for activations and captured graphs, about
SHARDED = ("weights", "optimizer", "reference")  # parts that FSDP splits among the cards


@dataclass(frozen=True)
class CardBill:
    """What one card holds. held: all the time, by name.  phases: beside it, one at a time.  rows: sampled at
    once.  tokens: of a micro-batch, 0 for a card that only samples.  available: that the plan may use.
    replica: cards that hold one copy of the sampler's weights."""

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
    """A card that trains (and samples, unless others do), with the largest sizes that fit where the settings
    leave them open. The bill of the largest sizes where nothing fits."""
    kind = policy.device.type
    rows = resolve(config.rollouts.rows, MOST_ROWS[kind])
    tokens = resolve(config.optimizer.tokens_per_microbatch, MOST_TOKENS[kind])
    rows = min(rows, -(-config.rollouts.prompts_per_step // taken.gpus) * config.rollouts.group_size)
    open_rows, open_tokens = (
        config.rollouts.rows == "auto", config.optimizer.tokens_per_microbatch == "auto",
    )  # fmt: skip
    samples_here = taken.engine == "local"
    settings = [config.but(fast_path="auto", keep_sampler="yes"), config.but(keep_sampler="no")]
    settings += [config.but(fast_path="no", keep_sampler="no")]
    first = None
    for each in settings if samples_here else settings[-1:]:
        some_rows, some_tokens = rows, tokens
        while True:
            found = _bill_card(policy, each, taken, card, shape, passes, some_rows, some_tokens)
            first = first or found
            if found.fits:
                return found
            if open_tokens and some_tokens > 256 and _heaviest(found).startswith("update"):
                some_tokens //= 2
            elif open_rows and some_rows > 1 and samples_here:
                some_rows //= 2
            else:
                break
    assert first is not None
    return first


def _heaviest(found: CardBill) -> str:
    return max(found.phases, key=lambda name: found.phases[name])


def _bill_card(
    policy: Policy, config: TrainConfig, taken: HardwareConfig, card: Card, shape: Shape, passes: Passes,
    rows: int, tokens: int,
) -> CardBill:  # fmt: skip
    per_card = -(-config.rollouts.prompts_per_step // taken.gpus)
    held = []
    if config.objective.loss.kl_coef and not config.model.lora_rank:
        held.append(HeldModel("reference", weight_bytes(policy.model)))
    part = config.but(prompts_per_step=per_card, eval_problems=per_card, eval_samples=1)
    if taken.engine == "vllm":  # a server has weights of its own
        part = part.but(staleness=0)
    available = int(card.memory - (CONTEXT if policy.device.type == "cuda" else 0))
    one = bill(policy, part, held, rows, tokens, available, passes)
    fixed, phases = dict(one.fixed), dict(one.phases)
    if taken.engine == "vllm":
        phases = {name: size for name, size in phases.items() if not name.startswith("sampling")}
        if not taken.sampler_gpus:
            server = bill_server(shape, config, card, taken.gpus)
            rows = server.rows
            phases["sampling by vLLM"] = sum(server.held.values())
    if taken.shard == "fsdp" and taken.gpus > 1:
        fixed, phases = _shard(one, fixed, phases, taken.gpus, shape, policy)
    limit = SHARE if taken.engine == "local" else SERVER_SHARE
    allowed = fixed["weights"] + int(limit * (available - fixed["weights"]))
    return CardBill(fixed, phases, rows, tokens, max(allowed, 0))


def _shard(
    one: Bill, fixed: Mapping[str, int], phases: Mapping[str, int], cards: int, shape: Shape, policy: Policy
) -> tuple[dict[str, int], dict[str, int]]:
    """The parts of a bill where each card holds its share. A pass gathers two layers at a time (one that is
    used, one that is fetched) and, at its ends, the tables of the embeddings and the head."""
    width = policy.weights.itemsize
    # Of weights in another type than products are done in, a pass on one card holds copies of them all.
    casts = 0 if policy.weights is policy.dtype else policy.dtype.itemsize
    casts *= (shape.layers - 2) * shape.layer_weights
    ends = shape.head_weights * (1 if shape.tied else 2)
    gathered = width * (2 * shape.layer_weights + ends)
    split = {name: -(-size // cards) if name in SHARDED else size for name, size in fixed.items()}
    gradients = one.gradients - -(-one.gradients // cards)
    changed = {}
    for name, size in phases.items():
        if name.startswith("update"):
            size = size - gradients - casts + gathered
        elif name == "optimizer step":
            size -= gradients
        changed[name] = size
    return split, changed


def bill_server(shape: Shape, config: TrainConfig, card: Card, cards: int) -> CardBill:
    """A card of a vLLM server, in bfloat16: its share of the weights, and keys and values of as many rows as
    the rest holds. Weights are spread over as few cards (1, 2, 4, ...) as leave half of each for rows; the
    others hold further copies.

    Raises UserError where the weights do not fit on all of the cards together.
    """
    room = SERVER_SHARE * card.memory - SERVER_FIXED
    weights, spread = 2 * shape.parameters, 1
    while weights / spread > room / 2 and 2 * spread <= cards:
        spread *= 2
    longest = config.rollouts.max_prompt_tokens + config.rollouts.max_new_tokens
    row = 2 * shape.kv_numbers * longest / spread
    left = room - weights / spread
    if left < row:
        raise UserError(
            f"vLLM's weights of {shape.name} take {weights / GIB:.0f} GiB in bfloat16, and {cards} card(s) "
            f"of "
            f"{card.memory / GIB:.0f} GiB leave no room for one row of {longest} tokens beside them: give it "
            "more cards (--sampler-gpus, --gpus), or larger ones (--gpu)."
        )
    copies = max(1, cards // spread)
    wanted = -(-config.rollouts.prompts_per_step * config.rollouts.group_size // copies)
    rows = min(int(left / row), wanted)
    held = {
        "weights": int(weights / spread),
        f"keys and values of {rows} rows": int(rows * row),
        "activations and graphs": int(SERVER_FIXED),
    }
    return CardBill(held, {}, rows, 0, int(SERVER_SHARE * card.memory), spread)
