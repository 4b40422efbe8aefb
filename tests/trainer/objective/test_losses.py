"""Policy losses: golden numbers, agreement with the NumPy reference, and one gradient whatever the split."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from palaestra.trainer.config.objective import LossConfig
from palaestra.trainer.objective.kinds import KINDS, choose_aggregate, find_kind
from palaestra.trainer.objective.losses import (
    Denominators,
    combine,
    compute_policy_loss,
    count_denominators,
    summarise_stats,
)

from ..support import reference

OWN = f"{Path(__file__).parents[3] / 'examples' / 'own_loss.py'}:kimi"
EVERY = [*KINDS, OWN]
LOG_RATIOS = [[0, 0.3], [0.1, -0.5, 0, 0.4], [0.25, 0, -0.1], [-0.3]]
LOGPROBS = [[-0.5, -1], [-0.2, -2, -0.7, -1.5], [-1.2, -0.3, -0.4], [-0.9]]
ADVANTAGES = [0.5, -0.5, 0.5, -0.5]
GOLDEN = [
    ("grpo", 0.2, -0.02946211),
    ("grpo", 0.28, -0.03779545),
    ("dapo", 0.2, -0.00539209),
    ("dapo", 0.28, -0.01339209),
    ("bnpo", 0.2, -0.00539209),
    ("dr_grpo", 0.2, -0.00168503),
    ("gspo", 0.2, -0.05163817),
    ("cispo", None, -0.04929723),
    ("sapo", None, -0.07925183),
    ("gmpo", None, -0.0558715),
]


def pad(rows, width=None, value=float("nan")):
    width = width or max(map(len, rows))
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows], dtype=torch.float64)


def make_mask(rows, width=None):
    return pad([[1.0] * len(row) for row in rows], width, 0.0)


def configure(kind, high):
    return LossConfig(kind) if high is None else LossConfig(kind, clip_low=0.2, clip_high=high)


@pytest.mark.parametrize(("kind", "high", "expected"), GOLDEN)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_golden_numbers(kind, high, expected, dtype):
    logprobs, mask = pad(LOGPROBS).to(dtype), make_mask(LOGPROBS)
    result = compute_policy_loss(
        logprobs,
        logprobs - pad(LOG_RATIOS).to(dtype),
        torch.tensor(ADVANTAGES, dtype=dtype).unsqueeze(1),
        mask,
        configure(kind, high),
        count_denominators(mask, 8),
    )
    assert result.loss.dtype == dtype
    assert float(result.loss) == pytest.approx(expected, abs=6e-9 if dtype == torch.float64 else 1e-7)


@pytest.mark.parametrize(("kind", "high", "expected"), GOLDEN)
def test_the_reference_gives_the_golden_numbers_too(kind, high, expected):
    config = configure(kind, high)
    tokens = [
        reference.SEQUENCES[kind](np.array(p), np.array(x, float), a, config)
        for p, x, a in zip(LOGPROBS, LOG_RATIOS, ADVANTAGES, strict=True)
    ]
    assert reference.batch(reference.AVERAGES[kind], tokens, 8) == pytest.approx(expected, abs=6e-9)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: find_kind(kind).name)
def test_every_kind_has_a_reference_with_the_average_of_its_paper(kind):
    entry = find_kind(kind)
    assert entry.name in reference.SEQUENCES, (
        f"{entry.name} has no reference in tests/trainer/support/reference.py"
    )
    assert reference.AVERAGES.get(entry.name) == entry.aggregate


def draw_batch(seed, rows=6, longest=9):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, size=rows)
    make = lambda scale, shift=0.0: [(rng.normal(size=n) * scale + shift).tolist() for n in lengths]  # noqa: E731
    logprobs = [[-abs(x) for x in row] for row in make(1.5)]
    return {
        "logprobs": logprobs,
        "log_ratio": make(0.7),
        "ref": [[x + d for x, d in zip(p, r, strict=True)] for p, r in zip(logprobs, make(0.3), strict=True)],
        "entropy": [[abs(x) for x in row] for row in make(1.0)],
        "advantages": rng.normal(size=rows).tolist(),
        "marked": [(rng.random(n) < 0.3).tolist() for n in lengths],
        "before": make(0.5, -1.0),
    }


def give_marks(config, marked, width=None):
    """For a kind that reads them; the others get none."""
    return pad(marked, width, 0.0) > 0 if find_kind(config.kind).mark else None


VARIANTS = [LossConfig(kind) for kind in EVERY] + [
    LossConfig("grpo", dual_clip=1.5),
    LossConfig("gspo", clip_low=0.01, clip_high=0.02, delta=1.1),
    LossConfig("dapo", delta=1.4, kl_coef=0.3, kl_estimator="k2"),
    LossConfig("dr_grpo", kl_coef=0.3, entropy_coef=0.01),
    LossConfig("cispo", ratio_cap=1.3, kl_coef=0.2, entropy_coef=0.1),
    LossConfig("gmpo", log_clip=0.1, kl_coef=0.2, entropy_coef=0.1),
    LossConfig("sapo", tau_positive=0.8, tau_negative=2.0, kl_coef=0.1),
    LossConfig("reinforce", aggregate="token_mean", entropy_coef=0.05),
    LossConfig("grpo", kl_coef=0.3, kl_correction=True),
    LossConfig("gspo", kl_coef=0.3, kl_estimator="k1", kl_correction=True),
    LossConfig("clip_cov", clip_high=1.0, kl_coef=0.1),
    LossConfig("kl_cov", kl_cov_coef=0.4, aggregate="sequence_mean"),
    LossConfig("dapo", correction="token_truncate", correction_cap=1.2, correction_floor=0.9),
    LossConfig("grpo", correction="token_mask", correction_cap=1.5, kl_coef=0.2, kl_correction=True),
    LossConfig("gspo", correction="sequence_truncate", correction_cap=2.0),
    LossConfig("cispo", correction="sequence_mask", correction_floor=0.1, entropy_coef=0.1),
    LossConfig("gmpo", correction="geometric_truncate", correction_cap=1.1),
    LossConfig("kl_cov", correction="geometric_mask", correction_cap=1.5, correction_floor=0.5),
]


def name_variant(config):
    changed = [
        f"{f.name}={getattr(config, f.name)}" for f in fields(config) if getattr(config, f.name) != f.default
    ]
    return ",".join(changed).replace(OWN, "own") or "dapo"


def compute_reference(batch, config, limit):
    tokens = []
    kind, columns = find_kind(config.kind), ("logprobs", "log_ratio", "ref", "entropy", "advantages")
    for p, x, ref, h, a, before, marked in zip(
        *(batch[k] for k in (*columns, "before", "marked")), strict=True
    ):
        p, x, weight = np.array(p), np.array(x), 1.0
        to_sampler = np.exp(x)
        if config.corrects:
            sampled, x = p - x, p - np.array(before)
            bounds = (config.correction_cap, config.correction_floor)
            weight = reference.sampler_weights(before, sampled, config.correction, *bounds)
        marks = [np.array(marked)] if kind.mark else []
        row = weight * reference.SEQUENCES[kind.name](p, x, a, config, *marks)
        kl = reference.kl(p, np.array(ref), config.kl_estimator) * (to_sampler if config.kl_correction else 1)
        tokens.append(row + config.kl_coef * kl - config.entropy_coef * np.array(h))
    return reference.batch(choose_aggregate(config), tokens, limit)


@pytest.mark.parametrize("config", VARIANTS, ids=name_variant)
@pytest.mark.parametrize("seed", range(5))
def test_torch_agrees_with_the_reference(config, seed):
    batch = draw_batch(seed)
    logprobs, mask = pad(batch["logprobs"]), make_mask(batch["logprobs"])
    result = compute_policy_loss(
        logprobs,
        logprobs - pad(batch["log_ratio"]),
        torch.tensor(batch["advantages"], dtype=torch.float64).unsqueeze(1),
        mask,
        config,
        count_denominators(mask, 12),
        ref_logprobs_BT=pad(batch["ref"]),
        entropy_BT=pad(batch["entropy"]),
        before_logprobs_BT=pad(batch["before"]),
        marked_BT=give_marks(config, batch["marked"]),
    )
    assert float(result.loss) == pytest.approx(compute_reference(batch, config, 12), rel=1e-10)


@pytest.mark.parametrize(
    "config", [c for c in VARIANTS if c.kind not in ("cispo", "reinforce", "gspo")], ids=name_variant
)
def test_the_gradient_is_that_of_the_reference(config):
    """Finite differences of the NumPy reference, which knows no autograd.
    Entropy is an input of its own here."""
    batch = draw_batch(3, rows=4, longest=4)
    gradient = compute_gradient(batch, config, 12)
    for row, column in [(0, 0), (1, 0), (2, 0), (3, 0)]:
        numeric = 0.0
        for step in (1e-6, -1e-6):
            moved = {k: [list(x) if isinstance(x, list) else x for x in v] for k, v in batch.items()}
            moved["logprobs"][row][column] += step
            moved["log_ratio"][row][column] += step
            numeric += compute_reference(moved, config, 12) / (2 * step)
        assert float(gradient[row][column]) == pytest.approx(numeric, abs=1e-7)


def compute_gradient(batch, config, limit, split=None, width=None):
    """Gradient to the log-probabilities as a list per completion; `split`: lists of rows,
    one per micro-batch."""
    rows = range(len(batch["logprobs"]))
    denominators = count_denominators(make_mask(batch["logprobs"]), limit)
    gradients = [None] * len(rows)
    for part in split or [list(rows)]:
        take = {k: [v[i] for i in part] for k, v in batch.items()}
        longest = max(map(len, take["logprobs"])) + (width or 0)
        leaf = pad(take["logprobs"], longest).requires_grad_()
        result = compute_policy_loss(
            leaf,
            leaf.detach() - pad(take["log_ratio"], longest),
            torch.tensor(take["advantages"], dtype=torch.float64).unsqueeze(1),
            make_mask(take["logprobs"], longest),
            config,
            denominators,
            ref_logprobs_BT=pad(take["ref"], longest),
            entropy_BT=pad(take["entropy"], longest),
            before_logprobs_BT=pad(take["before"], longest),
            marked_BT=give_marks(config, take["marked"], longest),
        )
        result.loss.backward()
        for place, i in enumerate(part):
            length = len(batch["logprobs"][i])
            assert torch.equal(leaf.grad[place, length:], torch.zeros(longest - length, dtype=torch.float64))
            gradients[i] = leaf.grad[place, :length]
    return gradients


@pytest.mark.parametrize("kind", ["gspo", "cispo", "reinforce"])
def test_the_gradient_of_kinds_with_a_constant_part(kind):
    """Where the value holds a factor constant, the gradient is written out by hand."""
    batch = draw_batch(11)
    config = LossConfig(kind, clip_low=0.1, clip_high=0.15) if kind == "gspo" else LossConfig(kind)
    n, tokens = len(batch["logprobs"]), sum(map(len, batch["logprobs"]))
    for gradient, log_ratio, a in zip(
        compute_gradient(batch, config, 12), batch["log_ratio"], batch["advantages"], strict=True
    ):
        ratio, s = np.exp(log_ratio), np.exp(np.mean(log_ratio))
        clipped = (a > 0 and s > 1.15) or (a < 0 and s < 0.9)
        expected = {
            "gspo": np.full(len(ratio), 0.0 if clipped else -s * a / len(ratio) / n),
            "cispo": -np.minimum(ratio, 5) * a / tokens,
            "reinforce": np.full(len(ratio), -a / n),
        }[kind]
        assert gradient.numpy() == pytest.approx(expected, rel=1e-10)


@st.composite
def splits(draw, rows=7):
    order = draw(st.permutations(range(rows)))
    cuts = sorted(draw(st.sets(st.integers(1, rows - 1))))
    return [order[a:b] for a, b in zip([0, *cuts], [*cuts, rows], strict=True)]


@pytest.mark.parametrize("config", VARIANTS, ids=name_variant)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(split=splits(), width=st.integers(0, 5), seed=st.integers(0, 100))
def test_any_split_order_and_padding_gives_one_gradient(config, split, width, seed):
    batch = draw_batch(seed, rows=7)
    whole, parts = compute_gradient(batch, config, 12), compute_gradient(batch, config, 12, split, width)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("config", VARIANTS, ids=name_variant)
def test_losses_and_statistics_of_parts_add_up(config):
    batch = draw_batch(5, rows=8)
    denominators = count_denominators(make_mask(batch["logprobs"]), 12)

    def run(part):
        take = {k: [v[i] for i in part] for k, v in batch.items()}
        logprobs, mask = pad(take["logprobs"]), make_mask(take["logprobs"])
        a = torch.tensor(take["advantages"], dtype=torch.float64).unsqueeze(1)
        return compute_policy_loss(
            logprobs,
            logprobs - pad(take["log_ratio"]),
            a,
            mask,
            config,
            denominators,
            ref_logprobs_BT=pad(take["ref"]),
            entropy_BT=pad(take["entropy"]),
            before_logprobs_BT=pad(take["before"]),
            marked_BT=give_marks(config, take["marked"]),
        )

    whole, parts = run(range(8)), [run([7, 2]), run([0, 1, 3, 6]), run([5]), run([4])]
    assert float(sum(part.loss for part in parts)) == pytest.approx(float(whole.loss), rel=1e-12)
    together = combine([part.stats for part in parts])
    unknown = {field.name for field in fields(together) if getattr(together, field.name) is None}
    assert unknown == list_unknown(config)
    for name in {field.name for field in fields(together)} - unknown:
        assert float(getattr(together, name)) == pytest.approx(float(getattr(whole.stats, name)), rel=1e-12)
    ratio = np.exp(np.concatenate(batch["log_ratio"]))
    if config.corrects:
        assert summarise_stats(together)["logprob_diff_max"] == pytest.approx(np.abs(np.log(ratio)).max())
        moved = [np.array(p) - b for p, b in zip(batch["logprobs"], batch["before"], strict=True)]
        ratio = np.exp(np.concatenate(moved))
        assert summarise_stats(together)["ratio"] == pytest.approx(ratio.mean())
        return
    assert summarise_stats(together)["ratio"] == pytest.approx(ratio.mean())
    assert (float(together.ratio_min), float(together.ratio_max)) == pytest.approx((ratio.min(), ratio.max()))
    assert summarise_stats(together)["logprob_diff_max"] == pytest.approx(np.abs(np.log(ratio)).max())


def list_unknown(config):
    """The statistics that a run with these settings does not have."""
    corrected = {"sampler_weight_sum", "sampler_weight_max", "sampler_cut_sum"}
    none = set() if find_kind(config.kind).mark else {"marked_sum"}
    return none if config.corrects else none | corrected


def test_clip_counts():
    ratio = torch.tensor([[0.5, 0.5, 2.0, 2.0, 1.0, 9.0]], dtype=torch.float64)
    a = torch.tensor([[1.0, -1.0, 1.0, -1.0, 1.0, -1.0]], dtype=torch.float64)
    logprobs, mask = torch.full_like(ratio, -1.0), torch.ones_like(ratio)
    config = LossConfig("dapo", dual_clip=3.0)
    stats = compute_policy_loss(
        logprobs, logprobs - ratio.log(), a, mask, config, count_denominators(mask, 6)
    ).stats
    assert (int(stats.clip_low_sum), int(stats.clip_high_sum), int(stats.dual_clip_sum)) == (1, 1, 1)
    assert (stats.kl_k1_sum, stats.kl_k3_sum, stats.entropy_sum) == (None, None, None)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: find_kind(kind).name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_masked_and_what_is_extreme_stays_finite(kind, dtype):
    """nan and infinity where masked, log-ratios of +-200 nats where not, a row without a token:
    a finite gradient."""
    logprobs = torch.tensor(
        [[-1.0, -200, -1, torch.nan], [-torch.inf, torch.inf, torch.nan, 1e30]], dtype=dtype
    )
    sampled = torch.tensor([[-200.0, -1, -1, -torch.inf], [torch.nan] * 4], dtype=dtype)
    mask = torch.tensor([[1, 1, 1, 0], [0, 0, 0, 0]])
    for sign in (1.0, -1.0):
        leaf = logprobs.clone().requires_grad_()
        advantages = torch.tensor([[sign, sign, sign, torch.nan], [torch.nan] * 4], dtype=dtype)
        result = compute_policy_loss(
            leaf,
            sampled,
            advantages,
            mask,
            LossConfig(kind, kl_coef=0.1),
            count_denominators(mask, 4),
            ref_logprobs_BT=sampled,
            marked_BT=give_marks(LossConfig(kind), [[1, 0, 1, 1]] * 2),
        )
        result.loss.backward()
        assert torch.isfinite(result.loss)
        assert result.loss.dtype == torch.float32
        assert torch.isfinite(leaf.grad).all()
        assert not leaf.grad[mask == 0].any()
        assert all(
            torch.isfinite(getattr(result.stats, f.name))
            for f in fields(result.stats)
            if f.name not in {"entropy_sum", *list_unknown(LossConfig(kind))}
        )


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: find_kind(kind).name)
def test_an_empty_batch_is_a_loss_of_zero(kind):
    leaf = torch.randn(2, 3, requires_grad=True)
    mask = torch.zeros(2, 3)
    result = compute_policy_loss(
        leaf,
        leaf.detach(),
        torch.ones(2, 1),
        mask,
        LossConfig(kind),
        count_denominators(mask, 3),
        marked_BT=give_marks(LossConfig(kind), [[1, 0, 1]] * 2),
    )
    result.loss.backward()
    assert float(result.loss.detach()) == 0
    assert not leaf.grad.any()
    assert summarise_stats(result.stats) == {}


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: find_kind(kind).name)
def test_on_policy_every_kind_has_the_policy_gradient(kind):
    """At ratio 1 all kinds push each token by -A times its weight:
    they differ only off-policy and in the average."""
    torch.manual_seed(0)
    leaf = torch.randn(3, 4, dtype=torch.float64).requires_grad_()
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])
    a = torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64)
    config = LossConfig(kind, aggregate="sequence_mean")
    counts, marks = count_denominators(mask, 4), give_marks(config, [[0] * 4] * 3)
    compute_policy_loss(leaf, leaf.detach(), a, mask, config, counts, marked_BT=marks).loss.backward()
    torch.testing.assert_close(leaf.grad, -a * mask / mask.sum(1, keepdim=True) / 3)


def test_what_is_asked_for_but_not_given_is_an_error():
    x, denominators = torch.zeros(1, 2), Denominators(1, 2, 2)
    with pytest.raises(ValueError, match="reference's log-probabilities"):
        compute_policy_loss(x, x, x, x + 1, LossConfig(kl_coef=0.1), denominators)
    with pytest.raises(ValueError, match="entropy of every token"):
        compute_policy_loss(x, x, x, x + 1, LossConfig(entropy_coef=0.1), denominators)
    with pytest.raises(ValueError, match="no statistics"):
        combine([])
    known = compute_policy_loss(x, x, x, x + 1, LossConfig(), denominators, entropy_BT=x).stats
    with pytest.raises(ValueError, match="entropy_sum is known for 1 of 2"):
        combine([known, replace(known, entropy_sum=None)])


def test_denominators_of_parts_add_up():
    mask = torch.tensor([[1, 1, 0], [0, 0, 0], [1, 0, 0]])
    assert count_denominators(mask[:2], 3) + count_denominators(mask[2:], 3) == Denominators(2, 3, 3)
    with pytest.raises(ValueError, match="limits of 3"):
        count_denominators(mask, 3) + count_denominators(mask, 4)
