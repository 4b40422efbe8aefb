"""What a step of GRPO costs: floating-point operations, bytes moved, and the seconds that follow from both.

A matrix product of N tokens with W weights is 2 N W operations, forward; backward it is as many for the
gradient of its input and as many for that of its weights. A token attends to those before it and itself:
scores and their use are 4 H E operations each, in each layer, so S tokens of one text take 2 L H E S^2.
Norms, activations and softmax are left out: they move bytes more than they calculate.

Shapes: L layers, H heads, E head size, V vocabulary, D hidden; a step has P problems with G completions each.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..config.plan import HardwareConfig
from .cards import Card
from .shapes import Shape

HEAD_PASSES = {True: 4, False: 2}
"""Products with the head in an update, by whether it learns: forward, again in the backward pass, and two
gradients; a frozen one forward, and the direction of its gradient at once (`model/head.py`)."""


@dataclass(frozen=True)
class Work:
    """A step. problems, group: P and G.  prompt, completion: their tokens in the mean.  longest: tokens after
    which a completion is cut.  rank: of adapters, 0 where all weights learn.  passes: over the batch.
    recomputes: gradient checkpointing.  reference: whether a reference's log-probabilities are needed.
    """

    problems: int
    group: int
    prompt: int
    completion: int
    longest: int
    rank: int = 0
    passes: int = 1
    recomputes: bool = False
    reference: bool = False

    @property
    def completions(self) -> int:
        return self.problems * self.group

    @property
    def sampled(self) -> int:
        """Tokens that a step samples."""
        return self.completions * self.completion

    @property
    def distinct(self) -> int:
        """Tokens that a pass over the batch goes through: a prompt once for its whole group."""
        return self.problems * self.prompt + self.sampled


def count_attention(shape: Shape, work: Work) -> float:
    """Operations of attention in a forward pass over the step, each prompt once: 2 L H E S^2 a text."""
    whole, prompt = (work.prompt + work.completion) ** 2, work.prompt**2
    texts = work.completions * (whole - prompt) + work.problems * prompt
    return 2.0 * shape.layers * shape.heads * shape.head_size * texts


def count_forward(shape: Shape, work: Work) -> float:
    """Operations of a forward pass over the step, the head on the completions' tokens alone."""
    layers = 2.0 * shape.layers * shape.layer_weights * work.distinct
    return layers + 2.0 * shape.head_weights * work.sampled + count_attention(shape, work)


def count_update(shape: Shape, work: Work) -> float:
    """Operations of a step's updates: 3 forward passes for each pass over the batch, 4 with gradient
    checkpointing; with adapters one less, since frozen weights have no gradient; and the reference's pass."""
    layers = 2.0 * shape.layers * shape.layer_weights * work.distinct
    head, attention = 2.0 * shape.head_weights * work.sampled, count_attention(shape, work)
    learns = not work.rank
    trips = 2 + learns + work.recomputes
    adapters = 3 * 2.0 * shape.count_adapters(work.rank) * work.distinct if work.rank else 0.0
    one = trips * layers + (3 + work.recomputes) * attention + HEAD_PASSES[learns] * head + adapters
    return work.passes * one + (count_forward(shape, work) if work.reference else 0.0)


def count_sampling(shape: Shape, work: Work) -> float:
    """Operations of sampling: the prompts' prefill, then every token by itself; as a forward pass, and the
    head once for each problem."""
    return count_forward(shape, work) + 2.0 * shape.head_weights * work.problems


@dataclass(frozen=True)
class DecodeCost:
    """Of one card. steps: decode steps.  live: rows in the mean.  bytes, operations: of one step."""

    steps: int
    live: float
    bytes: float
    operations: float


def count_decoding(shape: Shape, work: Work, rows: int, width: int, cards: int = 1) -> DecodeCost:
    """Decode steps of the work of one sampler. rows: at once.  width: bytes of a number.  cards: over which
    the sampler's weights and rows are spread (tensor parallel).

    A row that ends is replaced while others wait, so there are as many steps as fill the rows, and at least
    as many as the longest completion has tokens.
    """
    steps = max(work.longest, -(-work.sampled // max(1, min(rows, work.completions))))
    live = work.sampled / steps
    context = work.prompt + work.completion / 2
    weights = shape.layers * shape.layer_weights + shape.head_weights
    cache = live * context * shape.kv_numbers
    attention = 4.0 * shape.layers * shape.heads * shape.head_size * context * live
    operations = 2.0 * weights * live + attention
    return DecodeCost(steps, live, width * (weights + cache) / cards, operations / cards)


def count_prefill(shape: Shape, work: Work) -> float:
    """Operations of the prompts' prefill, each prompt once."""
    attention = 2.0 * shape.layers * shape.heads * shape.head_size * work.problems * work.prompt**2
    return 2.0 * shape.layers * shape.layer_weights * work.problems * work.prompt + attention


@dataclass(frozen=True)
class Rates:
    """What a card is taken to reach: bytes and operations a second, bytes a second to another card."""

    bandwidth: float
    peak: float
    link: float

    @classmethod
    def of(cls, card: Card, taken: HardwareConfig) -> Rates:
        """The shares that the settings take of what it is sold for."""
        return cls(
            card.bandwidth * taken.bandwidth_share, card.peak * taken.peak_share, card.link * taken.link_share
        )

    def time_decoding(self, cost: DecodeCost) -> float:
        """Seconds: a decode step takes as long as the slower of its bytes and its operations."""
        return cost.steps * max(cost.bytes / self.bandwidth, cost.operations / self.peak)


@dataclass(frozen=True)
class Seconds:
    """Of a step, by phase. exchange: of gradients, and of weights that are gathered.  sync: of weights to a
    sampler of its own.  ahead: sampling runs beside the update."""

    prefill: float
    decode: float
    verify: float
    update: float
    optimizer: float
    exchange: float
    sync: float
    ahead: bool = False

    @property
    def sampling(self) -> float:
        return self.prefill + self.decode + self.verify

    @property
    def training(self) -> float:
        return self.update + self.optimizer + self.exchange

    @property
    def total(self) -> float:
        """One after the other, or, where sampling runs ahead on cards of its own, the longer of the two."""
        both = max(self.sampling, self.training) if self.ahead else self.sampling + self.training
        return both + self.sync
