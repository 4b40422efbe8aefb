"""PPO through the code that trains: its gradient, its value model, its controller, and its resume."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from palaestra.tasks import Problem
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.algorithms import ppo as ppo_module
from palaestra.trainer.algorithms import update as update_module
from palaestra.trainer.algorithms.base import Learner, StepResult
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.algorithms.critic import compute_values, make_critic
from palaestra.trainer.algorithms.ppo import PPO, estimate_kl_to_reference
from palaestra.trainer.algorithms.update import run_pass, shape_batch, update_policy
from palaestra.trainer.config.objective import AdvantageConfig, KLControlConfig, LossConfig, ValueConfig
from palaestra.trainer.config.shared import OptimizerConfig
from palaestra.trainer.config.train import PPOConfig, TrainConfig
from palaestra.trainer.model import lora
from palaestra.trainer.model.optim import adamw, update
from palaestra.trainer.model.policy import Policy, load_policy
from palaestra.trainer.model.sequences import Sequences
from palaestra.trainer.objective.kl_control import KLControlState
from palaestra.trainer.rollouts.group import Group
from palaestra.verifiers import Completion, Score

from ..support.tiny_models import make_tiny

LENGTHS = (3, 1, 5, 2, 4, 2)


def make_policy(seed: int, dtype: torch.dtype = torch.float64) -> Policy:
    policy = load_policy("embedded", "cpu", "float32", seed=seed)
    return replace(policy, model=policy.model.to(dtype).train())


@torch.no_grad()
def compute_own_logprobs(policy: Policy, completion: Completion) -> list[float]:
    ids = torch.tensor([[*completion.prompt_ids, *completion.ids]])
    all_SV = policy.model(ids).logits[0].log_softmax(-1)
    start = len(completion.prompt_ids)
    return [float(all_SV[start + offset - 1, token]) for offset, token in enumerate(completion.ids)]


def make_groups(
    policy: Policy, rewards: list[float], abstained: tuple[int, ...] = (), finish: str = "stop"
) -> list[Group]:
    """One group a row, with random tokens and the policy's own log-probabilities."""
    generator = torch.Generator().manual_seed(0)
    groups = []
    for row, (length, reward) in enumerate(zip(LENGTHS, rewards, strict=True)):
        ids = torch.randint(4, 90, (length,), generator=generator).tolist()
        made = Completion("x", tuple(range(5, 7 + row)), tuple(ids), (), finish)
        made = replace(made, logprobs=tuple(compute_own_logprobs(policy, made)))
        groups.append(Group(Problem("p"), (made,), (Score(reward, False, {}, row in abstained),)))
    return groups


def make_config(**ppo) -> TrainConfig:
    settings = {"critic": "separate", "kl": KLControlConfig(kl_coef=0.1), "lam": 1.0, "whiten": False}
    return TrainConfig.of(
        algorithm="ppo",
        steps=10,
        group_size=1,
        max_new_tokens=8,
        max_grad_norm=1e9,
        ppo=PPOConfig(**{**settings, **ppo}),
    )


def run_step(
    policy: Policy,
    reference: Policy | None,
    ppo: PPO,
    groups: list[Group],
    step: int = 0,
    learning_rate: float = 1e-3,
) -> StepResult:
    """One update, with an optimizer of its own."""
    learner = Learner(
        policy, adamw(policy.model, OptimizerConfig(beta2=0.9), policy.parameters), ppo, reference
    )
    return update_policy(learner, groups, ppo.config, step, learning_rate)


def capture_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> list[tuple[torch.nn.Module, dict[str, torch.Tensor]]]:
    """The gradients of every optimizer step, in place of the steps."""
    seen = []

    def record(module, optimizer, learning_rate, max_grad_norm):
        seen.append((module, {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}))
        optimizer.zero_grad(set_to_none=True)
        return 1.0

    monkeypatch.setattr(update_module, "update", record)
    return seen


def compute_reinforce_gradient(
    policy: Policy, reference: Policy, groups: list[Group], beta: float
) -> dict[str, torch.Tensor]:
    """Of -mean over tokens of log p(token) * (reward - beta * sum from this token on of (log p - log
    reference)), plainly."""
    policy.model.zero_grad()
    total, tokens = torch.zeros((), dtype=torch.float64), 0
    for group in groups:
        made, reward = group.completions_G[0], group.scores_G[0].reward
        ids = torch.tensor([[*made.prompt_ids, *made.ids]])
        all_SV = policy.model(ids).logits[0].log_softmax(-1)
        kl = [a - b for a, b in zip(made.logprobs, compute_own_logprobs(reference, made), strict=True)]
        for offset, token in enumerate(made.ids):
            returned = reward - beta * math.fsum(kl[offset:])
            total = total - all_SV[len(made.prompt_ids) + offset - 1, token] * returned
            tokens += 1
    (total / tokens).backward()
    return {name: p.grad.clone() for name, p in policy.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("tokens_per_microbatch", [16384, 1])
def test_lambda_1_gamma_1_value_0_one_epoch_is_reinforce_with_the_kl_in_the_reward(
    monkeypatch, tokens_per_microbatch
):
    policy, reference = make_policy(1), make_policy(2)
    groups = make_groups(policy, [1.0, 0.0, 0.5, -2.0, 1.5, 0.25])
    expected = compute_reinforce_gradient(policy, reference, groups, beta=0.1)
    policy.model.zero_grad()
    config = make_config().but(tokens_per_microbatch=tokens_per_microbatch)
    seen = capture_gradients(monkeypatch)
    run_step(policy, reference, start_in_double(policy, config), groups)
    (_, found) = next(pair for pair in seen if pair[0] is policy.model)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        # log-softmax, rewards and recorded log-probabilities are float32, whatever the model is
        assert float((found[name] - gradient).norm() / gradient.norm()) < 1e-6, name
    assert max(float(gradient.abs().max()) for gradient in expected.values()) > 1e-3


@pytest.mark.parametrize("critic", ["separate", "shared"])
def test_out_of_memory_halves_the_microbatch_and_changes_no_gradient(critic, monkeypatch, capsys):
    """Of the policy and of the value model: what was added before memory ran out must not be there twice."""
    policy, groups = (
        make_policy(1, torch.float32),
        make_groups(make_policy(1), [1.0, 0.0, 0.5, -2.0, 1.5, 0.25]),
    )
    config = make_config(critic=critic, kl=KLControlConfig(kl_coef=0.0)).but(tokens_per_microbatch=60)
    seen, short = capture_gradients(monkeypatch), [False]
    loss = PPO.loss

    class Late:
        """A loss after whose backward pass memory runs out, once."""

        def __init__(self, loss):
            self.loss = loss

        def backward(self):
            self.loss.backward()
            if short[0]:
                short[0] = False
                raise MemoryError

        def detach(self):
            return self.loss.detach()

    def late_loss(self, *rest):
        part = loss(self, *rest)
        return replace(part, loss=Late(part.loss))

    monkeypatch.setattr(PPO, "loss", late_loss)
    for fails in (False, True):
        short[:] = [fails]
        made = PPO(policy, config)
        torch.manual_seed(0)
        torch.nn.init.normal_(made.critic.head.weight)
        run_step(policy, None, made, groups)
    assert "going on with micro-batches of 30 tokens" in capsys.readouterr().err
    half = len(seen) // 2
    assert half > 0
    for (_, one), (_, other) in zip(seen[:half], seen[half:], strict=True):
        assert one.keys() == other.keys() != set()
        for name in one:
            assert torch.allclose(one[name], other[name], rtol=1e-4, atol=1e-6), name


def start_in_double(policy: Policy, config: TrainConfig) -> PPO:
    made = PPO(policy, config)
    if not made.critic.shared:
        made.critic.backbone.double()
    return made


@pytest.mark.parametrize("critic", ["separate", "shared"])
def test_a_fresh_value_model_says_0_and_learns_the_returns(critic):
    policy = make_policy(1, torch.float32)
    config = make_config(
        critic=critic, critic_warmup=9, kl=KLControlConfig(kl_coef=0.0), value=ValueConfig(kind="squared")
    )
    made = PPO(policy, config)
    groups = make_groups(policy, [1.0] * 6)
    before = {name: p.clone() for name, p in policy.model.named_parameters()}
    losses = []
    for step in range(9):
        result = run_step(policy, None, made, groups, step, 1e-2)
        losses.append(result.extra["value_loss"])
        assert result.stats is None, "the policy was to be left alone"
    assert losses[0] == pytest.approx(0.5), "value 0, return 1"
    assert losses[-1] < 0.45
    assert all(torch.equal(before[name], p) for name, p in policy.model.named_parameters())


def test_the_shared_value_gradient_reaches_the_backbone_after_the_warm_up(monkeypatch):
    policy = make_policy(1, torch.float32)
    config = make_config(critic="shared", kl=KLControlConfig(kl_coef=0.0), value_coef=0.5)
    made = PPO(policy, config)
    torch.nn.init.ones_(made.critic.head.weight)  # a head of zeros passes no gradient on
    groups = make_groups(policy, [1.0, 0.0, 0.5, -2.0, 1.5, 0.25])
    seen = capture_gradients(monkeypatch)
    for coefficient in (0.0, 0.5):
        made.config = config.but(ppo=replace(config.ppo, value_coef=coefficient))
        run_step(policy, None, made, groups)
    (_, without), (_, with_value) = [pair for pair in seen if pair[0] is policy.model]
    assert not torch.allclose(
        without["model.layers.0.mlp.up_proj.weight"], with_value["model.layers.0.mlp.up_proj.weight"]
    )


@pytest.mark.parametrize("critic", ["separate", "shared"])
def test_values_stand_before_the_token_they_value(critic):
    """The value of a token must not depend on that token, and must on the one before."""
    policy = make_policy(1, torch.float32)
    made = make_critic(policy, make_config(critic=critic))
    torch.nn.init.ones_(made.head.weight)
    prompt, completion = [5, 6, 7], [8, 9, 10]
    base = compute_values(policy, made, Sequences.of([prompt], [completion]), 100)
    for changed in range(3):
        other = [50 if place == changed else token for place, token in enumerate(completion)]
        moved = compute_values(policy, made, Sequences.of([prompt], [other]), 100)
        same = torch.isclose(base, moved, atol=1e-6)[0]
        assert same[: changed + 1].all()
        assert not same[changed + 1 :].any()


def test_packed_values_are_those_of_the_plain_pass_with_their_gradient():
    policy = make_policy(1, torch.float32)
    made = make_critic(policy, make_config())
    assert made.packs
    torch.nn.init.normal_(made.head.weight)
    sequences = Sequences.of([[5, 6, 7], [5, 6, 7], [9]], [[8, 9, 10], [11], [5, 6]])
    found = []
    for critic in (made, replace(made, packs=False)):
        values_BT = critic.compute_values(sequences)
        (values_BT**2).sum().backward()
        found.append((values_BT.detach(), critic.backbone.embed_tokens.weight.grad.clone()))
        critic.module.zero_grad()
    assert torch.allclose(found[0][0], found[1][0], atol=1e-5)
    assert float((found[0][1] - found[1][1]).norm() / found[1][1].norm()) < 1e-5


@pytest.mark.parametrize("source", ["the policy", "another model"])
def test_with_adapters_a_critic_of_its_own_learns_by_adapters_and_is_billed_so(source: str, tmp_path: Path):
    pytest.importorskip("peft")
    policy = make_policy(1, torch.float32)
    policy.save(tmp_path / "other")
    config = make_config(critic_model="" if source == "the policy" else str(tmp_path / "other"))
    config = config.but(lora_rank=2)
    lora.add_adapters(policy.model, config.model, 0)
    (billed,) = PPO.held_models(policy, config)
    critic = PPO(policy, config).critic
    trained = {name for name, weight in critic.module.named_parameters() if weight.requires_grad}
    assert all(".lora_" in name or name in {"0.weight", "0.bias"} for name in trained)
    assert len(trained) == len(lora.collect_trained(policy.model)) + 2
    held, learns = (
        sum(4 * weight.numel() for weight in critic.module.parameters() if weight.requires_grad or every)
        for every in (True, False)
    )
    assert billed.weights == pytest.approx(held, rel=1e-3)
    assert billed.trained == pytest.approx(learns, rel=1e-2)
    assert critic.state()["module"].keys() == trained, "a checkpoint was to hold what learns alone"
    assert critic.learning_rate == pytest.approx(10 * 1e-3)
    before = {name: weight.clone() for name, weight in critic.module.named_parameters()}
    for _ in range(2):  # the head is zero at first, and B after it
        critic.compute_values(Sequences.of([[5, 6, 7]], [[8, 9, 10]])).sub(1).square().sum().backward()
        update(critic.module, critic.optimizer, 0.01, 1.0)
    changed = {
        name for name, weight in critic.module.named_parameters() if not torch.equal(weight, before[name])
    }
    assert changed <= trained
    assert any("lora_B" in name for name in changed)
    assert not any(
        bool(tensor.any()) for name, tensor in lora.collect_trained(policy.model).items() if "_B" in name
    )


def test_a_critic_of_another_family_has_adapters_on_all_that_can_carry_one(tmp_path: Path):
    pytest.importorskip("peft")
    policy = make_policy(1, torch.float32)
    make_tiny("gpt2", len(policy.model.get_input_embeddings().weight)).save_pretrained(tmp_path)
    config = make_config(critic_model=str(tmp_path)).but(lora_rank=2, lora_targets=("q_proj",))
    lora.add_adapters(policy.model, config.model, 0)
    (billed,) = PPO.held_models(policy, config)
    backbone = PPO(policy, config).critic.backbone
    kinds = {name.split(".")[-2] for name in lora.find_adapted(backbone)}
    assert kinds == {"c_attn", "c_proj", "c_fc"}
    learns = sum(4 * weight.numel() for weight in backbone.parameters() if weight.requires_grad)
    assert billed.trained == pytest.approx(learns, rel=0.05)


def credit_groups(
    groups: list[Group], config: TrainConfig, policy: Policy, coefficient: float = 0.1
) -> Batch:
    made = PPO(policy, config)
    made.kl = KLControlState(coefficient)
    batch = shape_batch(Batch.of(groups, policy.device), config)
    reference_BT = run_pass(make_policy(2, torch.float32), batch.sequences, 1.0, 2048).logprobs_BT
    return made.credit(replace(batch, ref_logprobs_BT=reference_BT))


def test_a_completion_that_could_not_be_scored_is_in_nothing():
    policy = make_policy(1, torch.float32)
    found = credit_groups(
        make_groups(policy, [1.0, 0.0, 0.5, -2.0, 1.5, 0.25], abstained=(2,)),
        make_config(whiten=True),
        policy,
    )
    mask_BT = found.mask_BT
    assert not mask_BT[2].any()
    assert found.advantages_BT[2].abs().sum() == 0
    whitened = found.advantages_BT[mask_BT]
    assert float(whitened.mean()) == pytest.approx(0, abs=1e-6)
    assert float(whitened.std(correction=0)) == pytest.approx(1, abs=1e-4)


def test_a_cut_completion_pays_the_missing_eos_penalty_once():
    policy = make_policy(1, torch.float32)
    config = make_config(missing_eos_penalty=1.5)
    ended = credit_groups(make_groups(policy, [1.0] * 6), config, policy)
    cut = credit_groups(make_groups(policy, [1.0] * 6, finish="length"), config, policy)
    gap_BT = (ended.columns_BT["returns"] - cut.columns_BT["returns"])[ended.mask_BT]
    assert torch.allclose(gap_BT, torch.full_like(gap_BT, 1.5), atol=1e-5)


def test_the_updates_stop_when_the_policy_has_gone_too_far():
    policy = make_policy(1, torch.float32)
    config = make_config(kl=KLControlConfig(kl_coef=0.0), kl_stop=1e-3).but(
        updates_per_batch=8, minibatches=2
    )
    groups = make_groups(policy, [1.0, 0.0, 0.5, -2.0, 1.5, 0.25])
    result = run_step(policy, None, PPO(policy, config), groups, learning_rate=3e-2)
    assert result.extra["stopped_early"] == 1.0
    assert 1 <= result.updates < 16
    free = config.but(ppo=replace(config.ppo, kl_stop=0.0))
    policy = make_policy(1, torch.float32)
    result = run_step(policy, None, PPO(policy, free), groups, learning_rate=3e-2)
    assert result.updates == 16


def test_the_adaptive_coefficient_moves_with_the_kl_that_was_measured():
    policy, reference = make_policy(1, torch.float32), make_policy(2, torch.float32)
    config = make_config(kl=KLControlConfig(kl_coef=0.1, target_kl=1e-3, horizon=60))
    made = PPO(policy, config)
    groups = make_groups(policy, [1.0] * 6)
    result = run_step(policy, reference, made, groups)
    sign = 1 if result.extra["kl_per_completion"] > 1e-3 else -1
    assert made.kl.kl_coef == pytest.approx(0.1 * (1 + sign * 0.2 * 6 / 60))


def test_nothing_scored_changes_nothing():
    policy = make_policy(1, torch.float32)
    config = make_config()
    before = {name: p.clone() for name, p in policy.model.named_parameters()}
    groups = make_groups(policy, [1.0] * 6, abstained=tuple(range(6)))
    result = run_step(policy, make_policy(2, torch.float32), PPO(policy, config), groups, learning_rate=1.0)
    assert result.stats is None
    assert all(torch.equal(before[name], p) for name, p in policy.model.named_parameters())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"loss": LossConfig(kl_coef=0.1)}, "ppo.kl.kl-coef"),
        ({"loss": LossConfig(kind="cispo")}, "clips the ratio"),
        ({"advantages": AdvantageConfig(scale="group")}, "does not compare the completions"),
        ({"resample": 2}, "do without --resample, or"),
        ({"preset": "gdpo", "ppo.value_coef": 0.4}, "do without --preset gdpo, or"),
        ({"preset": "dapo", "resample": 2}, "do without --resample, or"),
        ({"ppo": PPOConfig(critic_warmup=10)}, "critic-warmup"),
        ({"ppo": PPOConfig(kl=KLControlConfig(kl_coef=0.0, target_kl=1.0))}, "above 0"),
        ({"ppo": PPOConfig(critic="shared", critic_model="x")}, "separate"),
    ],
)
def test_settings_that_make_no_sense_are_sentences(change, says):
    changed = make_config().but(**change)

    def start() -> PPO:
        PPO.check(changed)
        return PPO(make_policy(1, torch.float32), changed)

    with pytest.raises(UserError, match=says):
        start()


def credit_by_hand(monkeypatch, values: list[float], kl: list[float], reward: float, beta: float, **ppo):
    """`credit` on one completion whose values and KL per token are given."""
    policy = make_policy(1, torch.float32)
    made = Completion("x", (5, 6), tuple(range(7, 7 + len(values))), (-1.0,) * len(values))
    group = Group(Problem("p"), (made,), (Score(reward, True, {}),))
    config = make_config(kl=KLControlConfig(kl_coef=beta), **ppo)
    monkeypatch.setattr(ppo_module, "compute_values", lambda *_: torch.tensor([values]))
    reference_BT = torch.full((1, len(kl)), -1.0) - torch.tensor([kl])
    return PPO(policy, config).credit(replace(Batch.of([group], policy.device), ref_logprobs_BT=reference_BT))


def test_golden_returns_of_a_kl_penalty_in_the_reward(monkeypatch: pytest.MonkeyPatch):
    found = credit_by_hand(monkeypatch, [0.0] * 4, [0.03, 0.02, 0.04, 0.01], 2.0, 1.0, gamma=1.0, lam=1.0)
    assert found.columns_BT["returns"][0].tolist() == pytest.approx([1.90, 1.93, 1.95, 1.99], abs=1e-6)
    assert float(estimate_kl_to_reference(found).sum()) == pytest.approx(0.10, abs=1e-6)


def test_golden_gae_through_the_step(monkeypatch: pytest.MonkeyPatch):
    found = credit_by_hand(monkeypatch, [0.5, 0.6, 0.7], [0.0] * 3, 1.0, 0.1, gamma=0.99, lam=0.95)
    assert found.advantages_BT[0].tolist() == pytest.approx([0.446828575, 0.37515, 0.3], abs=1e-6)
    assert found.columns_BT["returns"][0].tolist() == pytest.approx([0.946828575, 0.97515, 1.0], abs=1e-6)
