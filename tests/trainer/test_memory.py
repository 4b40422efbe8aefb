"""The memory plan: what it bills, how sizes follow from what is free, and the one retreat when memory runs out."""

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.algorithms.base import Learner
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.algorithms.grpo import GRPO
from palaestra.trainer.algorithms.update import add_gradient
from palaestra.trainer.config.settings import resolve
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model import memory
from palaestra.trainer.model.memory import HeldModel
from palaestra.trainer.model.optim import adamw
from palaestra.trainer.model.policy import Policy, load_policy
from palaestra.trainer.model.sequences import TOKENS, Sequences
from palaestra.trainer.objective.losses import count_denominators

MIB = 2**20


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy("embedded", "cpu", "float32")


def test_the_bill_adds_up(policy: Policy):
    config = TrainConfig.of(max_prompt_tokens=100, max_new_tokens=28)
    per_token = memory.activation_bytes(policy)
    bill = memory.bill(policy, config, [], rows=10, tokens=1000, available=4096 * MIB, per_token=per_token)
    weights = 4 * policy.parameters
    assert bill.fixed == {"weights": weights, "gradients": weights, "optimizer": 2 * weights}
    assert bill.cache == weights + 10 * 2 * 2 * 1 * 32 * 128 * 4, "2 layers, keys and values, 1 head of 32, 128 positions"
    assert bill.total == 4 * weights + max(bill.cache, bill.update)
    held = [HeldModel("reference", weights), HeldModel("value model", weights, trained=weights)]
    whole = memory.bill(policy, config, held, 10, 1000, 0, per_token).fixed
    assert whole["reference"] == whole["value model"] == weights
    assert (whole["gradients"], whole["optimizer"]) == (2 * weights, 4 * weights)
    assert "sampling 10 rows" in str(bill)
    assert "update of 1000 tokens" in str(bill)


def test_the_measured_activations_are_those_of_a_larger_pass(policy: Policy):
    """Bytes per token from the probe, against the sum of what a pass over 20 times as many tokens keeps."""
    rows = [[row % 90 + 3] * 40 for row in range(40)]
    sequences = Sequences.of([[row % 90 + 3 + place % 5 for place in range(24)] for row in range(40)], rows)
    kept: dict[int, int] = {}
    own = {p.untyped_storage().data_ptr() for p in policy.model.parameters()}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = memory.compute_logprobs(policy.model, sequences)
    assert out.logprobs_BT.requires_grad
    assert sum(kept.values()) / (40 * 64) == pytest.approx(memory.activation_bytes(policy), rel=1.0)


def test_sizes_follow_from_what_is_free(policy: Policy):
    config = TrainConfig.of(max_prompt_tokens=200, max_new_tokens=56)
    roomy = memory.plan(policy, config, available=16384 * MIB)
    assert (roomy.rows, roomy.tokens) == (256, TOKENS)
    tight = memory.plan(policy, config, available=30 * MIB)
    assert tight.rows < 256
    assert tight.tokens < TOKENS
    assert tight.total - tight.fixed["weights"] <= memory.SHARE * 30 * MIB
    asked = memory.plan(policy, config.but(rows=99, tokens_per_microbatch=12345), available=16384 * MIB)
    assert (asked.rows, asked.tokens) == (99, 12345), "what the user set stays"
    with pytest.raises(UserError, match=r"does not fit: Memory \(MiB\).*--max-prompt-tokens"):
        memory.plan(policy, config, available=2 * MIB)


def test_the_settings_are_filled_in_and_the_bill_is_said(policy: Policy):
    said: list[str] = []
    config = memory.fit_sizes(policy, TrainConfig(), (), said.append)
    assert config.rollouts.rows > 0
    assert config.optimizer.tokens_per_microbatch > 0
    assert said[0].startswith("Memory (MiB): weights")
    assert memory.available_memory(torch.device("cpu")) > 0


def example(policy: Policy) -> Batch:
    prompts = [[5, 6, 7]] * 4 + [[8, 9]] * 4
    completions = [[10 + (row * place) % 60 for place in range(3 + row)] for row in range(8)]
    sequences = Sequences.of(prompts, completions)
    mask_BT = sequences.mask_BT
    advantages_BT = torch.randn(8, 1, generator=torch.Generator().manual_seed(0)) * mask_BT
    zeros_B = torch.zeros(8)
    return Batch(
        sequences,
        4,
        -4 * mask_BT.float(),
        zeros_B,
        zeros_B.bool(),
        zeros_B.bool(),
        advantages_BT=advantages_BT,
        mask_BT=mask_BT,
    )


def gradients(policy: Policy, batch: Batch, config: TrainConfig) -> list[torch.Tensor]:
    policy.model.zero_grad(set_to_none=True)
    learner = Learner(policy, adamw(policy.model, config.optimizer, policy.parameters), GRPO(policy, config))
    add_gradient(learner, batch, count_denominators(batch.mask_BT, 16), resolve(config.optimizer.tokens_per_microbatch, TOKENS))
    return [p.grad.clone() for p in policy.model.parameters()]


@pytest.mark.parametrize(
    "failure", [RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
                torch.OutOfMemoryError("CUDA out of memory"), MemoryError()], ids=lambda f: type(f).__name__
)  # fmt: skip
def test_out_of_memory_halves_the_microbatch_once_and_changes_no_gradient(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    policy = load_policy("embedded", "cpu", "float32")
    batch, config = example(policy), TrainConfig.of(tokens_per_microbatch=60)
    wanted = gradients(policy, batch, config)
    loss, sizes = GRPO.loss, []

    def short_of_memory(self, part, *rest):
        sizes.append(int((part.sequences.lengths_B + part.sequences.prompt_lengths_B).sum()))
        result = loss(self, part, *rest)
        if sizes[-1] > 40:
            result.loss.backward()
            raise failure  # after its gradient was added: the retreat must begin afresh
        return result

    monkeypatch.setattr(GRPO, "loss", short_of_memory)
    found = gradients(policy, batch, config)
    assert "going on with micro-batches of 30 tokens" in capsys.readouterr().err
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    sizes.clear()
    gradients(policy, batch, config)
    assert max(sizes) <= 40, "the smaller size was to be kept for later steps"
    assert capsys.readouterr().err == ""

    monkeypatch.setattr(GRPO, "loss", lambda *_: (_ for _ in ()).throw(failure))
    with pytest.raises(UserError, match="Memory ran out in the update, with micro-batches of 30 tokens"):
        gradients(policy, batch, config)


def test_other_errors_are_not_taken_for_it(monkeypatch: pytest.MonkeyPatch):
    policy = load_policy("embedded", "cpu", "float32")
    monkeypatch.setattr(GRPO, "loss", lambda *_: (_ for _ in ()).throw(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        gradients(policy, example(policy), TrainConfig.of(tokens_per_microbatch=60))
