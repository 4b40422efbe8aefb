"""Updates on what was drawn with top-k, top-p and min-p: the trained policy is the truncated one."""

import copy
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from palaestra.tasks import Problem
from palaestra.trainer.algorithms.base import Algorithm, Learner
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.algorithms.grpo import GRPO
from palaestra.trainer.algorithms.ppo import PPO
from palaestra.trainer.algorithms.update import add_gradient, add_reference_logprobs, update_policy
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.engines.base import Request
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model import logprobs as logprobs_module
from palaestra.trainer.model.optim import adamw
from palaestra.trainer.model.policy import Policy, load_policy
from palaestra.trainer.objective.losses import count_denominators
from palaestra.trainer.rollouts.group import Group
from palaestra.trainer.rollouts.rollouts import make_sampling
from palaestra.verifiers import Score

TRUNCATIONS = [{"top_k": 6}, {"top_p": 0.7}, {"min_p": 0.15}, {"top_k": 20, "top_p": 0.9, "min_p": 0.02}]


def make_policy(seed: int = 4) -> Policy:
    """With weights large enough that its next tokens are far from uniform."""
    made = load_policy("embedded", "cpu", "float32", seed=seed)
    with torch.no_grad():
        for parameter in made.model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(2.0)
    return made


def make_config(**settings) -> TrainConfig:
    common = {"max_new_tokens": 12, "temperature": 0.8, "preflight_problems": 0, "loss.kl_coef": 0.05}
    common |= {"loss.entropy_coef": 0.01, "prompts_per_step": 4, "group_size": 4, **settings}
    if common.get("algorithm") == "ppo":
        common = {name: value for name, value in common.items() if name != "loss.kl_coef"}
    return TrainConfig.of(**common)


def draw_groups(policy: Policy, config: TrainConfig, fast: bool = True) -> list[Group]:
    """Four groups of four, as a run draws them, with rewards of chance."""
    rng = random.Random(0)
    engine = LocalEngine(policy, rows=5, fast=fast)
    prompts = [policy.tokenizer(text).input_ids for text in ("2+2=", "Say a word: ", "2+3=", "a")]
    requests = [Request(prompt, 4, stream) for stream, prompt in enumerate(prompts)]
    drawn = engine.sample(requests, make_sampling(config.rollouts, record_kept=True))
    return [
        Group(Problem("", id=str(place)), tuple(group), tuple(Score(rng.random(), False) for _ in group))
        for place, group in enumerate(drawn)
    ]


def make_learner(config: TrainConfig, algorithm: Callable[..., Algorithm] = GRPO) -> Learner:
    policy = make_policy()
    optimizer = adamw(policy.model, config.optimizer, policy.parameters)
    return Learner(policy, optimizer, algorithm(policy, config), make_policy(5))


@pytest.mark.parametrize("packs", [True, False], ids=["packed", "general"])
@pytest.mark.parametrize("algorithm", [GRPO, PPO], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("truncation", TRUNCATIONS, ids=str)
def test_the_update_agrees_with_the_sampler(
    algorithm: type[Algorithm], truncation: dict, packs: bool, monkeypatch: pytest.MonkeyPatch
):
    """On the first pass the ratio is 1 and the difference rounding; without the sets it is not."""
    if not packs:
        monkeypatch.setattr(logprobs_module, "can_pack", lambda _: False)
    config = make_config(algorithm=algorithm.__name__.lower(), **truncation)
    learner = make_learner(config, algorithm)
    groups = draw_groups(learner.policy, config, fast=packs)
    ignoring = [
        replace(group, completions_G=[replace(c, kept=None) for c in group.completions_G]) for group in groups
    ]
    before = copy.deepcopy(learner.policy.model.state_dict())
    result = update_policy(learner, groups, config, 0, learning_rate=1e-4)
    assert result.logprob_difference_max is not None
    assert result.logprob_difference_max < 2e-5
    assert result.stats is not None
    assert float(result.stats.ratio_max) == pytest.approx(1, abs=2e-5)
    assert float(result.stats.ratio_min) == pytest.approx(1, abs=2e-5)
    assert any(
        not torch.equal(weight, before[name]) for name, weight in learner.policy.model.state_dict().items()
    )
    learner.policy.model.load_state_dict(before)
    ignored = update_policy(learner, ignoring, config, 0, learning_rate=0.0)
    assert ignored.logprob_difference_mean is not None
    assert ignored.logprob_difference_mean > 0.05


def test_later_passes_hold_the_sets_fixed():
    """After a large step the model's own nucleus is another; every token stays in its set all the same."""
    config = make_config(top_p=0.7, **{"updates_per_batch": 3, "loss.kl_coef": 0.0, "loss.clip_high": 5.0})
    learner = make_learner(config)
    groups = draw_groups(learner.policy, config)
    result = update_policy(learner, groups, config, 0, learning_rate=3e-2)
    assert result.stats is not None
    assert result.updates == 3
    assert float(result.stats.ratio_max) > 1.5, "the policy was to move"
    moved = draw_groups(learner.policy, config)
    assert moved[0].completions_G[0].kept != groups[0].completions_G[0].kept
    again = Batch.of(groups, torch.device("cpu"))
    assert again.sequences.kept is not None
    out = logprobs_module.compute_logprobs(learner.policy.model, again.sequences, 0.8)
    assert out.logprobs_BT[again.mask_BT].isfinite().all()
    assert (out.logprobs_BT <= 0).all()
    assert out.logprobs_BT.min() > -60


def flatten_gradient(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def compute_plain_gradient(learner: Learner, groups: list[Group], batch: Batch, config: TrainConfig):
    """Of the on-policy objective, token by token: -A log p + beta k3 - c H, each among kept tokens only."""
    loss, temperature = config.objective.loss, config.rollouts.temperature
    policy, reference = learner.policy.model, learner.reference.model
    total, tokens, row = torch.zeros(()), 0, 0
    for group in groups:
        for completion in group.completions_G:
            ids = torch.tensor([[*completion.prompt_ids, *completion.ids]])
            now_SV = policy(input_ids=ids).logits[0] / temperature
            with torch.no_grad():
                reference_SV = reference(input_ids=ids).logits[0] / temperature
            sets = completion.kept.list_sets()
            for place, (token, kept) in enumerate(zip(completion.ids, sets, strict=True)):
                source, index = len(completion.prompt_ids) + place - 1, kept.index(token)
                now_K = now_SV[source][list(kept)].log_softmax(0)
                x = now_K[index] - reference_SV[source][list(kept)].log_softmax(0)[index]
                total = total - batch.advantages_BT[row, place] * now_K[index]
                total = total + loss.kl_coef * ((-x).exp() - 1 + x)
                total = total + loss.entropy_coef * (now_K.exp() * now_K).sum()
                tokens += 1
            row += 1
    policy.zero_grad()
    (total / tokens).backward()
    return flatten_gradient(policy)


@pytest.mark.parametrize("truncation", TRUNCATIONS, ids=str)
def test_the_gradient_is_that_of_the_truncated_policy_however_it_is_cut(truncation: dict):
    """Against autograd of the textbook's formulas; entropy and KL to the reference among the same tokens."""
    config = make_config(**truncation)
    learner = make_learner(config)
    groups = draw_groups(learner.policy, config)
    whole = add_reference_logprobs(Batch.of(groups, torch.device("cpu")), learner.reference, config)
    whole = learner.algorithm.credit(whole)
    plain = compute_plain_gradient(learner, groups, whole, config)
    assert float(plain.norm()) > 1e-3
    denominators = count_denominators(whole.mask_BT, config.rollouts.max_new_tokens)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    for tokens, rows_B in ((100_000, torch.arange(16)), (1, torch.arange(16)), (40, order)):
        learner.policy.model.zero_grad()
        add_gradient(learner, whole.select(rows_B), denominators, tokens)
        found = flatten_gradient(learner.policy.model)
        assert float((found - plain).norm()) <= 2e-5 * float(plain.norm()), tokens
    learner.policy.model.zero_grad()
    ignoring = replace(whole, sequences=replace(whole.sequences, kept=None))
    add_gradient(learner, ignoring, denominators, 100_000)
    ignored = flatten_gradient(learner.policy.model)
    assert float((ignored - plain).norm()) > 0.1 * float(plain.norm())


def test_minibatches_take_their_sets_along():
    config = make_config(top_k=6)
    batch = Batch.of(draw_groups(make_policy(), config), torch.device("cpu"))
    assert batch.sequences.kept is not None
    parts = list(batch.split_minibatches(3, "seed"))
    sizes = [int(part.sequences.kept.counts_N.sum()) for part in parts]
    assert sum(sizes) == int(batch.sequences.kept.counts_N.sum())
    for part in parts:
        assert len(part.sequences.kept.counts_N) == int(part.sequences.lengths_B.sum())
