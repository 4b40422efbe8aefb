"""A reward model: a language model whose head is replaced by one number, read at the end token of an answer.

It is saved as what `AutoModelForSequenceClassification.from_pretrained` loads, with the mean and standard
deviation of the rewards it gave to the answers it was fitted on in `reward_model.json`; a normalised reward
is counted in these.

Shapes: B rows (a prompt with one answer each), S positions.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerBase

from ...tasks import Problem
from ...tasks.core.errors import UserError
from ...tasks.core.hub import go_offline
from ...verifiers import Completion
from ..model.context import count_positions
from ..model.dropout import disable_dropout
from ..model.machine import pick_device
from ..model.model_files import save_weights
from ..model.policy import Policy, hold_in
from ..model.pretrained import explain_failures
from ..model.prompts import PromptFormat
from ..model.source import check_reward_model_source, must_use_cache

STATISTICS = "reward_model.json"
TOKENS_PER_PASS = 16384  # padded tokens that are scored together


@dataclass(frozen=True)
class Statistics:
    """Of the rewards of `answers` answers: mean and standard deviation.

    In the unit of the raw reward (nats of preference).
    """

    mean: float = 0.0
    std: float = 1.0
    answers: int = 0


@dataclass(frozen=True)
class RewardModel:
    """model: gives one number for token ids, without dropout.  prompts: how it reads a problem.  statistics:
    of the answers it was fitted on."""

    model: Any
    prompts: PromptFormat
    device: torch.device
    dtype: torch.dtype
    source: str
    statistics: Statistics = Statistics()

    def __post_init__(self) -> None:
        disable_dropout(self.model)

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.prompts.tokenizer

    @property
    def positions(self) -> int | None:
        """Tokens of a prompt with its answer that it can read, beside the end token that may follow a
        completion that was cut; None without a bound."""
        positions = count_positions(self.model)
        return None if positions is None else positions - 1

    def read_as(self, prompts: PromptFormat) -> RewardModel:
        """The same model, reading the conversations of another model's prompts by its own template."""
        return replace(self, prompts=prompts.for_reader(self.tokenizer))

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The context in which the model is run."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not torch.float32)

    def encode(self, problem: Problem, text: str, instruction: str = "") -> list[int]:
        """Token ids of a prompt with an answer; the end token is last, and the reward is read there."""
        return [
            *self.prompts.encode(problem, instruction),
            *self.prompts.encode_completion(text, problem.name),
        ]

    def forward(self, rows_B: Sequence[Sequence[int]]) -> Tensor:
        """Raw reward of each row of token ids, in float32 and with gradient.

        One forward pass over the padded rows.
        """
        pad, width = self.model.config.pad_token_id, max(map(len, rows_B))
        ids_BS = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows_B], device=self.device)
        # Padding stands on the right, where a causal model does not see it, so there is no attention mask.
        with self.autocast():
            return self.model(input_ids=ids_BS, use_cache=False).logits[:, 0].float()

    @torch.no_grad()
    def predict_rewards(
        self, rows_B: Sequence[Sequence[int]], tokens_per_microbatch: int = TOKENS_PER_PASS
    ) -> list[float]:
        """Raw reward of each row, without gradient; rows of like length go through the model together.

        Raises UserError for a row of more tokens than the model has positions.
        """
        longest, positions = max(map(len, rows_B), default=0), count_positions(self.model)
        if positions is not None and longest > positions:
            raise UserError(
                f"The reward model {self.source} has {positions} positions, and a prompt with its answer has "
                f"{longest} of its tokens. Lower --max-prompt-tokens or --max-new-tokens, or take a reward "
                "model with a longer context."
            )
        rewards = [0.0] * len(rows_B)
        for part in group_by_length([len(row) for row in rows_B], tokens_per_microbatch):
            for index, value in zip(part, self.forward([rows_B[i] for i in part]).tolist(), strict=True):
                rewards[index] = value
        return rewards

    def normalise(self, reward: float) -> float:
        """A raw reward in standard deviations above the mean of the answers that the model was fitted on."""
        return (reward - self.statistics.mean) / self.statistics.std

    def save(self, folder: Path, dtype: str = "auto") -> None:
        """Write model, tokenizer and statistics. dtype: of the weights, "auto" for their own."""
        save_weights(self.model, folder, dtype)
        self.tokenizer.save_pretrained(folder)
        (folder / STATISTICS).write_text(json.dumps(asdict(self.statistics), indent=1), encoding="utf-8")


Scorer = Callable[
    [Sequence[Problem], Sequence[Completion]], list[float]
]  # normalised rewards of answers to problems


def make_scorer(
    reward_model: RewardModel, instruction: str, tokens_per_microbatch: int = TOKENS_PER_PASS
) -> Scorer:
    """What fills in a learned criterion: normalised rewards of completions.

    A completion that was cut is read as it is, with an end token after it: that it was cut is for a penalty
    to say (`--ppo.missing-eos-penalty`).
    """

    def score(problems_B: Sequence[Problem], completions_B: Sequence[Completion]) -> list[float]:
        rows = [
            reward_model.encode(p, c.text, instruction)
            for p, c in zip(problems_B, completions_B, strict=True)
        ]
        return [
            reward_model.normalise(reward)
            for reward in reward_model.predict_rewards(rows, tokens_per_microbatch)
        ]

    return score


def group_by_length(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Numbers of rows in parts of at most `tokens` padded tokens (at least one row each), longest first."""
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    parts, start = [], 0
    while start < len(order):
        count = max(1, tokens // lengths[order[start]])
        parts.append(order[start : start + count])
        start += count
    return parts


def make_reward_model(
    policy: Policy, prompts: PromptFormat | None = None, *, trust_remote_code: bool = False
) -> RewardModel:
    """A reward model with the weights of `policy` under a head of zeros, so that every reward starts at 0.

    prompts: how it reads problems; None as the tokenizer has it.  trust_remote_code: take the classifier from
    the Python code that the policy brought along.

    Raises UserError for an architecture that has no sequence classifier.
    """
    config = copy.deepcopy(policy.model.config)
    config.num_labels = 1
    end = policy.tokenizer.eos_token_id
    # The head reads the last token that is no padding. So padding must not be the end token, and as every row
    # ends with the end token, any other id will do.
    if config.pad_token_id is None or config.pad_token_id == end:
        config.pad_token_id = 0 if end != 0 else 1
    try:
        model = AutoModelForSequenceClassification.from_config(config, trust_remote_code=trust_remote_code)
    except ValueError as failure:
        raise UserError(
            f"{policy.source}: an architecture of type {config.model_type} has no sequence classifier in "
            "transformers. "
            "Start the reward model from another model (Llama, Mistral, Qwen, GPT-2, ... have one)."
        ) from failure
    model.base_model.load_state_dict(policy.model.base_model.state_dict())
    head = getattr(model, "score", None) or model.classifier
    torch.nn.init.zeros_(head.weight)
    hold_in(model, policy.weights)
    model.to(policy.device)
    prompts = prompts or PromptFormat.of(policy.tokenizer)
    return RewardModel(model, prompts, policy.device, policy.dtype, policy.source)


def load_reward_model(
    source: str,
    device: str = "auto",
    dtype: str = "auto",
    *,
    weights: str = "float32",
    trust_remote_code: bool = False,
) -> RewardModel:
    """The reward model in a folder or of a hub id, frozen.

    One without `reward_model.json` is taken as normalised.  weights: the type that they are held in.
    trust_remote_code: run the Python code that it brings along.

    Raises UserError when there is none, when it needs its own code and may not run it, or when it gives more
    than one number.
    """
    chosen, arithmetic = pick_device(device, dtype, weights)
    check_reward_model_source(source)
    folder = Path(source)
    if must_use_cache(source):
        go_offline()
    with explain_failures(source, "a reward model", trust_remote_code):
        tokenizer: Any = AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
        config = json.loads((folder / "config.json").read_text()) if folder.is_dir() else {}
        if config and not any("SequenceClassification" in name for name in config.get("architectures") or ()):
            raise UserError(
                f"{source} is a model of type {config.get('architectures')}, not a reward model. Make one "
                "of it with "
                f"`palaestra reward-model --model {source} --data COMPARISONS`."
            )
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            source, dtype=getattr(torch, weights), trust_remote_code=trust_remote_code
        )
    if model.config.num_labels != 1:
        raise UserError(
            f"{source} gives {model.config.num_labels} numbers for a text; a reward model gives one."
        )
    model.to(chosen).eval().requires_grad_(False)
    reward_model = RewardModel(model, PromptFormat.of(tokenizer), chosen, arithmetic, source)
    if (folder / STATISTICS).is_file():
        return replace(
            reward_model,
            statistics=Statistics(**json.loads((folder / STATISTICS).read_text(encoding="utf-8"))),
        )
    return reward_model
