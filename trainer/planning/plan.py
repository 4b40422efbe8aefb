"""A plan: memory by part, operations, bytes, seconds, tokens a day, and what of it was checked on what."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from ..config.plan import PlanConfig
from ..config.settings import resolve
from ..model.policy import Policy
from .bills import CardBill, bill_server, bill_trainer
from .cards import CARDS, GIB, HERE, Card
from .checks import check_plan, find_refusal
from .costs import (
    DecodeCost,
    Rates,
    Seconds,
    Work,
    count_decoding,
    count_prefill,
    count_sampling,
    count_update,
)
from .here import measure_card
from .passes import Learns, foretell, make_policy
from .shapes import Shape, find_shape

DAY_S = 86400
CHECKED = (
    "Memory is the trainer's own bill, which is held to measured bytes on a CPU; operations are held to "
    "torch's counter. Planned seconds, at the default shares, were 1.2 to 1.9 times those of measured steps "
    "on one core of a CPU (docs/scale.md). Nothing of it was checked on a GPU, on several cards or against "
    "vLLM."
)


@dataclass(frozen=True)
class Plan:
    """What a run takes. card: of each kind.  trainer: a card that trains.  sampler: a card of vLLM's own,
    None where there is none.  decoding: of one sampler.  sampling, update: operations of a step, all cards
    together. moved: bytes that decoding reads in a step, on one card.  checked: on what."""

    shape: Shape
    card: Card
    config: PlanConfig
    trainer: CardBill
    sampler: CardBill | None
    work: Work
    decoding: DecodeCost
    sampling: float
    update: float
    moved: float
    seconds: Seconds
    checked: str = CHECKED

    @property
    def fits(self) -> bool:
        """Whether the memory of the cards suffices."""
        return self.trainer.fits

    @property
    def tokens_per_day(self) -> float:
        """Sampled tokens that the run learns from in a day, evaluations and checkpoints left out."""
        return DAY_S * self.work.sampled / self.seconds.total

    def to_dict(self) -> dict[str, Any]:
        """Plain data: bytes, operations, seconds."""
        taken = self.config.hardware
        return {
            "model": {**asdict(self.shape), "parameters": self.shape.parameters},
            "card": asdict(self.card),
            "assumed": {
                name: getattr(taken, name) for name in ("bandwidth_share", "peak_share", "link_share")
            },
            "trainer": {**asdict(self.trainer), "total": self.trainer.total, "fits": self.trainer.fits},
            "sampler": self.sampler and {**asdict(self.sampler), "total": self.sampler.total},
            "work": asdict(self.work),
            "operations": {"sampling": self.sampling, "update": self.update},
            "decoding": asdict(self.decoding),
            "bytes_decoded": self.moved,
            "seconds": {**asdict(self.seconds), "step": self.seconds.total} if self.fits else None,
            "tokens_per_day": self.tokens_per_day if self.fits else None,
            "checked": self.checked,
            "refused": find_refusal(self.config),
        }


def plan_run(config: PlanConfig) -> Plan:
    """What the run of these settings takes.

    Raises UserError for a model or a card that is not known, for settings that contradict each other, and
    where the weights of a server do not fit.
    """
    check_plan(config)
    shape, taken = find_shape(config.model.source), config.hardware
    card = measure_card() if taken.gpu == HERE else CARDS[taken.gpu.lower()]
    on_cpu = card.number_bytes == 4
    training = config.as_training("float32" if on_cpu else "bfloat16")
    policy = make_policy(shape, training, "cpu" if on_cpu else "cuda")
    trainer = bill_trainer(policy, training, taken, card, shape, foretell(shape, Learns.of(training)))
    sampler = bill_server(shape, training, card, taken.sampler_gpus) if taken.sampler_gpus else None
    work = describe_work(config)
    one = sampler or trainer
    share = _share(work, max(1, (taken.sampler_gpus or taken.gpus) // one.replica))
    decoding = count_decoding(shape, share, one.rows, card.number_bytes, one.replica)
    rates = Rates.of(card, taken)
    update = count_update(shape, work)
    seconds = Seconds(
        prefill=count_prefill(shape, share) / rates.peak / one.replica,
        decode=rates.time_decoding(decoding),
        verify=taken.verify_seconds,
        update=update / taken.gpus / rates.peak,
        optimizer=count_optimizer_bytes(policy, config) / rates.bandwidth,
        exchange=count_exchanged_bytes(policy, config, work, trainer.tokens) / rates.link,
        sync=count_synced_bytes(shape, config) / rates.link,
        ahead=bool(taken.sampler_gpus and config.rollouts.staleness),
    )
    return Plan(
        shape, card, config, trainer, sampler, work, decoding, count_sampling(shape, work), update,
        decoding.bytes * decoding.steps, seconds,
    )  # fmt: skip


def describe_work(config: PlanConfig) -> Work:
    """A step of the run, with the prompts' budget as their length."""
    rollouts, objective = config.rollouts, config.objective
    return Work(
        rollouts.prompts_per_step,
        rollouts.group_size,
        rollouts.max_prompt_tokens,
        resolve(config.hardware.mean_tokens, rollouts.max_new_tokens),
        rollouts.max_new_tokens,
        config.model.lora_rank,
        objective.updates_per_batch,
        config.model.gradient_checkpointing,
        bool(objective.loss.kl_coef),
    )


def _share(work: Work, samplers: int) -> Work:
    """What one of several samplers does of it."""
    return Work(**{**asdict(work), "problems": -(-work.problems // samplers)})


def _count_learned(policy: Policy) -> int:
    return sum(weight.numel() for weight in policy.model.parameters() if weight.requires_grad)


def count_optimizer_bytes(policy: Policy, config: PlanConfig) -> float:
    """Bytes that a card's optimizer steps read and write: weights and moments twice, gradients once."""
    learned, taken = _count_learned(policy), config.hardware
    moments = 2 if config.optimizer.moments == "8bit" else 8
    weight = 4 if config.model.lora_rank else policy.weights.itemsize
    sharded = taken.gpus if taken.shard == "fsdp" else 1
    return config.objective.updates * learned * (2 * (weight + moments) + 4) / sharded


def count_exchanged_bytes(policy: Policy, config: PlanConfig, work: Work, tokens: int) -> float:
    """Bytes that a card sends in a step. none: the sum of gradients in a ring, twice their bytes. fsdp: of
    each micro-batch the weights are gathered for its forward and its backward pass, and gradients scattered;
    those that learn once more for the whole copy."""
    taken = config.hardware
    if taken.gpus == 1:
        return 0.0
    ring, learned = (taken.gpus - 1) / taken.gpus, _count_learned(policy)
    if taken.shard == "none":
        return config.objective.updates * 2 * ring * 4 * learned
    weights = policy.weights.itemsize * policy.parameters
    parts = work.passes * math.ceil(work.distinct / taken.gpus / max(1, tokens))
    parts = max(parts, config.objective.updates)
    return ring * (parts * (2 * weights + 4 * learned) + policy.weights.itemsize * learned)


def count_synced_bytes(shape: Shape, config: PlanConfig) -> float:
    """Bytes of the weights that vLLM is given after a step, in bfloat16: of adapters alone with LoRA."""
    if config.hardware.engine != "vllm":
        return 0.0
    rank = config.model.lora_rank
    return 2.0 * (shape.count_adapters(rank) if rank else shape.parameters)


def write_plan(plan: Plan) -> str:
    """The plan for a reader."""
    taken, card, work = plan.config.hardware, plan.card, plan.work
    cards = f"{taken.gpus} x {card.name}" + (
        f" and {taken.sampler_gpus} more for vLLM" if taken.sampler_gpus else ""
    )
    lines = [
        f"{plan.shape.name}: {plan.shape.parameters:,} parameters; {cards}, {card.source}: "
        f"{card.memory / GIB:.1f} GiB, {card.bandwidth / 1e9:,.0f} GB/s, {card.peak / 1e12:,.1f} TFLOP/s, "
        f"links {card.link / 1e9:,.0f} GB/s.",
        f"Taken of that: {taken.bandwidth_share:.0%} of the bandwidth when decoding, {taken.peak_share:.0%} "
        f"of the arithmetic in prefill and update, {taken.link_share:.0%} of the links.",
        f"A step: {work.problems} x {work.group} completions, {work.prompt} + {work.completion} tokens: "
        f"{work.sampled:,} sampled, {work.distinct:,} distinct in the update.",
        "",
        *_write_memory("A card that trains", plan.trainer),
        *(_write_memory("A card that samples", plan.sampler) if plan.sampler else []),
        "",
        *(_write_speed(plan) if plan.fits else [_advise(plan)]),
        "",
        plan.checked,
    ]
    if refusal := find_refusal(plan.config):
        lines.insert(3, f"`palaestra train` does not run this yet: {refusal}")
    return "\n".join(lines)


def _write_speed(plan: Plan) -> list[str]:
    seconds = plan.seconds
    return [
        f"Operations a step: sampling {plan.sampling / 1e12:,.4g} TFLOP, "
        f"update {plan.update / 1e12:,.4g} TFLOP.",
        f"Decoding, on each sampler: {plan.decoding.steps:,} steps of {plan.decoding.live:,.0f} rows in the "
        f"mean, {plan.decoding.bytes / 1e9:,.3g} GB and {plan.decoding.operations / 1e12:,.3g} TFLOP each, "
        "on each card.",
        "Seconds a step: "
        + ", ".join(f"{name} {value:,.3g}" for name, value in _list_phases(seconds))
        + f"; in all {seconds.total:,.3g}"
        + (", sampling beside the update." if seconds.ahead else "."),
        f"Tokens a day: {plan.tokens_per_day:,.3g} sampled and learned from.",
    ]


def _list_phases(seconds: Seconds) -> list[tuple[str, float]]:
    names = ("prefill", "decode", "verify", "update", "optimizer", "exchange", "sync")
    return [(name, getattr(seconds, name)) for name in names if getattr(seconds, name)]


def _write_memory(who: str, found: CardBill) -> list[str]:
    def listed(parts: Any) -> str:
        return ", ".join(f"{name} {size / GIB:.2f}" for name, size in parts.items() if size)

    sizes = [
        *([f"{found.rows:,} rows at once"] if found.rows else []),
        *([f"{found.tokens:,} tokens in a micro-batch"] if found.tokens else []),
        *([f"vLLM's weights over {found.replica} cards"] if found.replica > 1 else []),
    ]
    beside = f"; beside it, one at a time: {listed(found.phases)}" if found.phases else ""
    return [
        f"{who} (GiB): {listed(found.held)}{beside}; at most {found.total / GIB:.1f} of "
        f"{found.available / GIB:.1f}. Sizes: {', '.join(sizes)}."
    ]


def _advise(plan: Plan) -> str:
    """What may help where it does not fit."""
    config, taken = plan.config, plan.config.hardware
    tips, sharded = [], taken.shard == "fsdp"
    copy = 4 * plan.shape.parameters  # bytes, of the whole weights that each card samples with
    if sharded and copy >= plan.trainer.available:
        return (
            "IT DOES NOT FIT, on any number of these cards: each holds a whole copy of the weights to sample "
            f"with, {copy / GIB:.1f} GiB. Take cards with more memory, or a smaller model."
        )
    if not config.model.gradient_checkpointing:
        tips.append("--gradient-checkpointing")
    if config.model.weights == "float32" and not sharded:  # nor do the next and shards go together
        tips.append("--weights bfloat16")
    if config.optimizer.moments == "float32" and not sharded:
        tips.append("--moments 8bit")
    if not config.model.lora_rank:
        tips.append("--lora-rank 64")
    if taken.gpu != HERE and sharded:
        tips.append(f"--gpus {2 * taken.gpus}")
    elif taken.gpu != HERE and copy < plan.trainer.available:
        tips.append(f"--shard fsdp with --gpus {max(2, taken.gpus)} (weights and moments in float32)")
    return f"IT DOES NOT FIT. What makes it smaller: {', '.join(tips)}."
