"""The critic of PPO, its value model: how much reward is still to come, before each token of a completion.

Either a head on the policy's own backbone (one forward pass, shared gradient) or a model of its own. Where
the policy learns by adapters, so does that model, by adapters of its own; the head learns whole.

Shapes: B rows, S prompt + completion positions, T completion positions, N completion tokens of all rows,
D hidden.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from ...tasks.core.errors import UserError
from ...tasks.core.seeds import digest
from ..config.shared import LoraConfig, OptimizerConfig
from ..config.train import TrainConfig
from ..distributed.world import find_world
from ..model import lora
from ..model.casts import hold_casts
from ..model.context import count_positions
from ..model.dense.packed import can_pack, compute_hidden_states
from ..model.dense.packing import Packing
from ..model.dropout import disable_dropout
from ..model.logprobs import compute_logprobs, has_plain_head, read_branches
from ..model.lora_targets import count_adapter_parameters, find_targets
from ..model.optim import Rates, adamw, choose_peak_rate
from ..model.policy import Policy
from ..model.pretrained import explain_failures
from ..model.sequences import Sequences, split_into_microbatches
from ..model.sharded import count_missing, reshard, take_first
from ..model.shares import take_rows

RATES = Rates(small=1e-3, large=1e-5)


@dataclass(frozen=True)
class Critic:
    """head: hidden state to value, zero at the start.  backbone: a model of its own, None for the policy's.

    module: what the optimizer trains.  learning_rate: constant.
    packs: its backbone is the policy's architecture, which the packed pass serves.
    """

    head: nn.Linear
    backbone: Any
    module: nn.Module
    optimizer: torch.optim.Optimizer
    learning_rate: float
    packs: bool = False

    @property
    def shared(self) -> bool:
        """Whether it is a head on the policy's backbone."""
        return self.backbone is None

    def compute_values(self, sequences: Sequences) -> Tensor:
        """values_BT of a critic of its own, with gradient.

        What is expected before each completion token is drawn.
        """
        if sequences.branches is not None:
            return read_branches(sequences, lambda rows: [self.compute_values(rows)], self.packs)[0]
        mask_BT = sequences.mask_BT
        rows_N, columns_N = mask_BT.nonzero(as_tuple=True)
        positions_N = sequences.prompt_lengths_B[rows_N] + columns_N
        if self.packs:
            packing = Packing.of(sequences)
            whole = SimpleNamespace(model=self.backbone, config=self.backbone.config)
            source_ND = compute_hidden_states(whole, packing).index_select(0, packing.sources_L)
        else:
            hidden_BSD = self.backbone(input_ids=sequences.ids_BS, use_cache=False)[0]
            source_ND = hidden_BSD[rows_N, positions_N - 1]
        values_N = apply_value_head(self.head, source_ND)
        return values_N.new_zeros(mask_BT.shape).index_put((rows_N, columns_N), values_N)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"module": lora.collect_trained(self.module), "optimizer": self.optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        lora.load_trained(self.module, state["module"])
        self.optimizer.load_state_dict(state["optimizer"])


def apply_value_head(head: nn.Linear, hidden_ND: Tensor) -> Tensor:
    """values_N in float32, whatever the arithmetic of the backbone."""
    with torch.autocast(hidden_ND.device.type, enabled=False):
        return head(hidden_ND.float())[:, 0]


def make_critic(policy: Policy, config: TrainConfig) -> Critic:
    """A critic that gives 0 everywhere. Raises UserError when the policy's backbone can't be shared."""
    ppo = config.ppo
    backbone = None
    if ppo.critic == "separate":
        backbone = _make_backbone(policy, config)
        hidden = _measure_width(backbone)
    elif ppo.critic_model:
        raise UserError("--ppo.critic-model starts a critic of its own; it needs --ppo.critic separate.")
    elif not has_plain_head(policy.model):
        raise UserError(
            "The backbone of this architecture can't be shared with a value head; use --ppo.critic separate."
        )
    else:
        hidden = int(policy.model.get_output_embeddings().weight.shape[1])
    head = nn.Linear(hidden, 1).to(policy.device)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    module = nn.ModuleList([head] if backbone is None else [head, backbone])
    learns_by_adapters = backbone is not None and config.model.lora_rank
    rates = RATES.multiply(lora.RATE) if learns_by_adapters else RATES
    rate = choose_peak_rate(ppo.critic_learning_rate, rates, policy.parameters)
    settings = OptimizerConfig(moments=config.optimizer.moments)
    optimizer = adamw(module, settings, policy.parameters, digest("critic", config.seed))
    with policy.autocast():  # as the critic is run
        packs = not ppo.critic_model and can_pack(policy.model)
    return Critic(head, backbone, module, optimizer, rate, packs)


@dataclass(frozen=True)
class CriticBytes:
    """Bytes of a critic's weights beside the policy's, and of the gradients of those that learn.

    positions: tokens of a text that it reads; None where it sets no bound beside the policy's.
    """

    weights: int
    trained: int
    positions: int | None = None


def count_critic_bytes(policy: Policy, config: TrainConfig) -> CriticBytes:
    """The size of a critic before it is made. What a shared one adds is a head."""
    adapted = bool(config.model.lora_rank)
    head = 4 * int(policy.model.get_output_embeddings().weight.shape[1])
    if config.ppo.critic != "separate":
        return CriticBytes(head, head)
    if not config.ppo.critic_model:
        own = list(_find_backbone(policy).parameters())
        size = sum(weight.numel() * weight.element_size() for weight in own)
        learns = sum(weight.numel() for weight in own if weight.requires_grad or not adapted)
        return CriticBytes(size + head, 4 * learns + head)
    with torch.device("meta"):
        trusted = config.model.trust_remote_code
        other: Any = AutoModel.from_config(
            _read_config(config.ppo.critic_model, trusted), trust_remote_code=trusted
        )
    head = 4 * int(other.get_input_embeddings().weight.shape[1])
    numbers = sum(parameter.numel() for parameter in other.parameters())
    weights = policy.weights.itemsize * numbers
    if not adapted:
        return CriticBytes(weights + head, 4 * numbers + head, count_positions(other))
    targets = find_targets(other, choose_adapters(other, policy, config).lora_targets)
    adapters = 4 * count_adapter_parameters(other, targets, config.model.lora_rank)
    return CriticBytes(weights + adapters + head, adapters + head, count_positions(other))


def estimate_critic_passes(policy: Policy, config: TrainConfig) -> float:
    """Bytes of a token in the passes of a critic of its own, as a share of those of the policy.

    0 for a shared one. For another model than the policy it is an estimate: the ratio of layers times hidden
    size.
    """
    if config.ppo.critic != "separate":
        return 0.0
    if not config.ppo.critic_model:
        return 1.0
    other = _read_config(config.ppo.critic_model, config.model.trust_remote_code)
    theirs, ours = (c.get_text_config() for c in (other, policy.model.config))
    return theirs.num_hidden_layers * theirs.hidden_size / (ours.num_hidden_layers * ours.hidden_size)


def choose_adapters(backbone: Any, policy: Policy, config: TrainConfig) -> LoraConfig:
    """The adapters of a critic that starts from another model: `--lora-targets` names weights of the policy's
    family, so a critic of another one has adapters on all that can carry one."""
    if backbone.config.model_type == policy.model.config.model_type:
        return config.model
    return replace(config.model, lora_targets=())


def _read_config(source: str, trust_remote_code: bool) -> Any:
    with explain_failures(source, "a critic", trust_remote_code):
        return AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)


def _find_backbone(policy: Policy) -> Any:
    """The policy's model below its head. Raises UserError where it has none of its own."""
    if policy.model.base_model is policy.model:
        raise UserError(
            f"{policy.source}: a model of type {policy.model.config.model_type} "
            f"({type(policy.model).__name__}) gives logits only, so no critic can be made of it. Start one "
            "from another model of its family by --ppo.critic-model, or take another algorithm, such as grpo."
        )
    return policy.model.base_model


@torch.no_grad()
def _measure_width(backbone: Any) -> int:
    """Size of the hidden states that a backbone gives; some project them to another than their layers."""
    ids_BS = torch.zeros(1, 2, dtype=torch.long, device=next(backbone.parameters()).device)
    return int(backbone(input_ids=ids_BS, use_cache=False)[0].shape[-1])


def _make_backbone(policy: Policy, config: TrainConfig) -> Any:
    source = config.ppo.critic_model
    if not source:  # with adapters these are copied, too, and learn alone
        backbone = copy.deepcopy(_find_backbone(policy))
        return backbone if config.model.lora_rank else backbone.requires_grad_(True)
    trusted = config.model.trust_remote_code
    with explain_failures(source, "a critic", trusted):
        backbone: Any = AutoModel.from_pretrained(source, dtype=policy.weights, trust_remote_code=trusted)
    if backbone.get_output_embeddings() is not None:
        raise UserError(
            f"The critic {source} loads as {type(backbone).__name__}, which gives logits and no hidden "
            "states. Start it from another model of the policy's family, or leave --ppo.critic-model out."
        )
    theirs, ours = (m.get_input_embeddings().weight.shape[0] for m in (backbone, policy.model))
    if theirs != ours:
        raise UserError(
            f"The critic {source} has {theirs} tokens and the policy {ours}: it reads the policy's "
            "tokens, so both need "
            "the same tokenizer. Start it from a model of the policy's family, or leave --ppo.critic-model "
            "out."
        )
    disable_dropout(backbone)
    if config.model.lora_rank:
        lora.add_adapters(backbone, choose_adapters(backbone, policy, config), config.seed)
    return backbone.to(policy.device)


@torch.no_grad()
def compute_values(
    policy: Policy, critic: Critic, sequences: Sequences, tokens_per_microbatch: int
) -> Tensor:
    """values_BT without gradient: what the critic expected before the update.

    Each process of the run takes its share of the rows.
    """
    values_BT = torch.zeros(sequences.mask_BT.shape, device=sequences.ids_BS.device)
    mine_B = take_rows(sequences)
    mine = sequences.select(mine_B)
    with hold_casts(policy.device), policy.autocast():
        for places_B in split_into_microbatches(mine, tokens_per_microbatch):
            part, rows_B = mine.select(places_B), mine_B[places_B]
            part_BT = (
                critic.compute_values(part)
                if not critic.shared
                else _compute_shared_values(policy, critic, part)
            )
            values_BT[rows_B, : part_BT.shape[1]] = part_BT
        for _ in range(count_missing(policy, sequences, tokens_per_microbatch) if critic.shared else 0):
            _compute_shared_values(policy, critic, take_first(sequences))
        reshard(policy.model)
    return find_world().sum(values_BT, "update")  # 0 but in one process


def _compute_shared_values(policy: Policy, critic: Critic, sequences: Sequences) -> Tensor:
    """values_BT of a head on the policy's backbone."""
    values_BT = compute_logprobs(policy.model, sequences, value_head=critic.head).values_BT
    assert values_BT is not None
    return values_BT
