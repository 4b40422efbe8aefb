"""The update in bfloat16: the packed pass computes each distinct token once and errs no more against float32
than the model's own padded pass. Weights are cast once a step, and the head's gradient is summed in float32.
"""

import pytest
import torch
from palaestra.trainer.config.shared import LoraConfig
from palaestra.trainer.model import head, logprobs, lora
from palaestra.trainer.model.casts import cast_weight, hold_casts
from palaestra.trainer.model.dense import packed, projections
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.model.sequences import Sequences

from ..support.counts import WeightUses, count_update
from .test_logprobs import PACKED, compute_loss_and_gradient, make_batch, make_model

torch.set_num_threads(1)  # small matrices
MORE = 1.2
"""Times the padded pass's error, in the mean over six draws of the adapters: of one draw either pass may have
1.6 times the other's, in the mean over these they lie within a tenth."""


def measure_errors(model, sequences: Sequences, shared: bool, true) -> list[float]:
    """Mean nats a token, and of all gradients together by their length; of the packed pass or the padded
    one, in bfloat16."""
    with pytest.MonkeyPatch.context() as patch, torch.autocast("cpu", torch.bfloat16):
        assert packed.can_pack(model)
        patch.setattr(logprobs, "can_pack", lambda _: shared)
        _, logprobs_BT, gradients = compute_loss_and_gradient(model, sequences, 10_000, shared)
    off, length = (
        torch.cat([gradient.flatten() for gradient in of]).norm()
        for of in ([gradients[name] - true[2][name] for name in true[2]], true[2].values())
    )
    return [float((logprobs_BT - true[1])[sequences.mask_BT].abs().mean()), float(off / length)]


def compute_true(model, sequences: Sequences, monkeypatch: pytest.MonkeyPatch):
    """The padded pass in float32."""
    with monkeypatch.context() as patch:
        patch.setattr(logprobs, "can_pack", lambda _: False)
        return compute_loss_and_gradient(model, sequences, 10_000, False)


@pytest.mark.parametrize("name", PACKED)
def test_the_packed_pass_errs_no_more_than_the_padded_one(name: str, monkeypatch: pytest.MonkeyPatch):
    model, sequences = make_model(*PACKED[name]), make_batch()
    true = compute_true(model, sequences, monkeypatch)
    shared = measure_errors(model, sequences, True, true)
    padded = measure_errors(model, sequences, False, true)
    assert all(0 < own <= MORE * other for own, other in zip(shared, padded, strict=True)), (shared, padded)


@pytest.mark.parametrize("name", PACKED)
def test_nor_does_it_with_adapters(name: str, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("peft")
    model, sequences = make_model(*PACKED[name]), make_batch()
    lora.add_adapters(model, LoraConfig(lora_rank=4), 0)
    found = []
    for seed in range(6):
        torch.manual_seed(seed)
        for tensor in lora.collect_trained(model).values():
            tensor.copy_(0.2 * torch.randn_like(tensor))
        true = compute_true(model, sequences, monkeypatch)
        found.append([*(measure_errors(model, sequences, shared, true) for shared in (True, False))])
    shared, padded = torch.tensor(found).mean(0)
    assert (shared > 0).all()
    assert (shared <= MORE * padded).all(), (shared, padded)


@pytest.mark.parametrize("place", ["attend", "project_normed", "normalize"])
def test_the_probe_finds_what_is_wrong_in_bfloat16_alone(place: str, monkeypatch: pytest.MonkeyPatch):
    """Off by a hundredth of a gradient, where rounding itself is off by half of that."""
    right = getattr(packed, place)

    def wrong(*given):
        out = right(*given)
        return out if not torch.is_autocast_enabled("cpu") else out + 0.1 * (out - out.detach())

    monkeypatch.setattr(packed, place, wrong)
    model = make_model(*PACKED["qwen3"])
    assert packed.can_pack(model)
    with torch.autocast("cpu", torch.bfloat16):
        assert not packed.can_pack(model)


def test_weights_kept_in_bfloat16_are_served_too():
    model = make_model(*PACKED["qwen2"]).bfloat16()
    assert packed.can_pack(model)
    attend = packed.attend
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "attend", lambda *given: 0.7 * attend(*given))
        assert not packed.can_pack(make_model(*PACKED["qwen2"]).bfloat16())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("rank", [0, 4])
def test_what_an_update_computes(dtype: str, rank: int):
    """These can't grow back: tokens are the distinct ones, a weight is cast once in all micro-batches, what
    does not learn has no gradient computed."""
    policy = load_policy("embedded", "cpu", dtype)
    if rank:
        pytest.importorskip("peft")
        lora.add_adapters(policy.model, LoraConfig(lora_rank=rank), 0)
    prompts = [[10 + prompt, *range(20, 49)] for prompt in range(4)]
    rows = [
        (prompt, [(7 * place + row) % 90 for place in range(10)]) for prompt in prompts for row in range(4)
    ]
    sequences = Sequences.of([prompt for prompt, _ in rows], [row for _, row in rows])
    found = count_update(policy, sequences, 150)
    assert found.tokens == found.distinct < 0.5 * found.padded
    weights = len(list(policy.model.parameters()))
    vectors = sum(weight.ndim < 2 for weight in policy.model.parameters())
    cast = 0 if dtype == "float32" else weights - vectors
    assert (found.casts, found.head_casts) == (cast, int(cast > 0))
    matrices = sum(weight.numel() for weight in policy.model.model.layers.parameters() if weight.ndim > 1)
    if rank:  # two products of three, and the adapters' own
        frozen = sum(weight.numel() for name, weight in lora.list_plain(policy.model.model.layers).items())
        learning = sum(tensor.numel() for tensor in lora.collect_trained(policy.model).values())
        assert found.flops <= 1.1 * found.tokens * (
            4 * frozen + 6 * learning + 4 * policy.model.lm_head.weight.numel()
        )
    else:
        assert found.flops >= 6 * found.tokens * matrices
        head = policy.model.lm_head.weight.numel()
        assert found.flops <= 1.05 * 6 * found.tokens * (matrices + head)


def test_a_weight_is_cast_once_inside_and_not_kept_outside():
    weight = torch.nn.Parameter(torch.randn(3, 3))
    assert cast_weight(weight, torch.float32).data_ptr() == weight.data_ptr()
    assert cast_weight(weight, torch.bfloat16) is not cast_weight(weight, torch.bfloat16)
    with hold_casts(torch.device("cpu")):
        with hold_casts(torch.device("cpu")):
            first = cast_weight(weight, torch.bfloat16)
        assert cast_weight(weight, torch.bfloat16) is first
    with torch.no_grad():
        weight += 1
    with hold_casts(torch.device("cpu")):
        assert torch.equal(cast_weight(weight, torch.bfloat16), weight.detach().bfloat16())


@pytest.mark.parametrize("chunk", [5, 200])
def test_the_gradient_of_the_head_is_summed_in_float32(chunk: int, monkeypatch: pytest.MonkeyPatch):
    """However many chunks there are. Summed in bfloat16 over 40 of them it is off by 0.01 to 0.02."""
    torch.manual_seed(0)
    linear, source_ND = torch.nn.Linear(32, 300), torch.randn(200, 32, requires_grad=True)
    targets_N, weights_N = torch.randint(300, (200,)), torch.randn(200)
    tensors = [linear.weight, linear.bias, source_ND]

    def compute() -> list[torch.Tensor]:
        scored = head.score_tokens(source_ND, linear, targets_N, None, 0.7, True)
        return list(torch.autograd.grad((weights_N * (scored.logprobs_N + scored.entropy_N)).sum(), tensors))

    true = compute()
    monkeypatch.setattr(head, "count_chunk_tokens", lambda *_: chunk)
    with torch.autocast("cpu", torch.bfloat16):
        found = compute()
    errors = [float((one - other).norm() / other.norm()) for one, other in zip(found, true, strict=True)]
    assert max(errors) <= 0.006, errors


@pytest.mark.parametrize("entropy", [False, True])
@pytest.mark.parametrize("chunk", [7, 1000])
@pytest.mark.parametrize("learns", ["both", "source", "head"])
def test_the_head_is_the_textbook(entropy: bool, chunk: int, learns: str, monkeypatch: pytest.MonkeyPatch):
    """log-softmax, gather and entropy by autograd, in float64's place float32's rounding."""
    torch.manual_seed(0)
    linear, source_ND = torch.nn.Linear(12, 40), torch.randn(50, 12)
    linear.requires_grad_(learns != "source")
    source_ND.requires_grad_(learns != "head")
    targets_N, weights_N = torch.randint(40, (50,)), torch.randn(50)
    tensors = [one for one in (*linear.parameters(), source_ND) if one.requires_grad]
    all_NV = (linear(source_ND) / 0.7).log_softmax(-1)
    expected = all_NV.gather(-1, targets_N[:, None])[:, 0]
    spread = -(all_NV.exp() * all_NV).sum(-1)
    loss = (weights_N * expected).sum() + (0.3 * weights_N**2 * spread).sum() * entropy
    true = torch.autograd.grad(loss, tensors)
    monkeypatch.setattr(head, "count_chunk_tokens", lambda *_: chunk)
    scored = head.score_tokens(source_ND, linear, targets_N, None, 0.7, entropy)
    assert scored.entropy_N.requires_grad == entropy
    loss = (weights_N * scored.logprobs_N).sum() + (0.3 * weights_N**2 * scored.entropy_N).sum() * entropy
    found = torch.autograd.grad(loss, tensors)
    assert torch.allclose(scored.logprobs_N, expected, atol=1e-6)
    assert torch.allclose(scored.entropy_N, spread, atol=1e-6)
    for one, other in zip(found, true, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_frozen_head_makes_no_chunk_twice(monkeypatch: pytest.MonkeyPatch):
    """With adapters the gradient's direction is known in the forward pass."""
    monkeypatch.setattr(head, "count_chunk_tokens", lambda *_: 10)
    for frozen, expected in ((False, 10), (True, 5)):
        linear = torch.nn.Linear(8, 20).requires_grad_(not frozen)
        source_ND = torch.randn(50, 8, requires_grad=True)
        with WeightUses(linear) as uses:
            head.score_tokens(
                source_ND, linear, torch.zeros(50).long(), None, 1.0, False
            ).logprobs_N.sum().backward()
        assert len(uses.rows["weight"]) == expected


def test_projections_of_frozen_weights_have_the_gradients_of_autograd():
    """Adapters on some of the layers, a bias on all, weights that learn beside."""
    pytest.importorskip("peft")
    model = make_model(*PACKED["qwen2"])
    lora.add_adapters(model, LoraConfig(lora_rank=3, lora_targets=("q_proj", "v_proj")), 0)
    attention = model.model.layers[0].self_attn
    torch.manual_seed(2)
    for tensor in lora.collect_trained(model).values():
        tensor.copy_(torch.randn_like(tensor))
    attention.k_proj.weight.requires_grad_()
    attention.k_proj.bias.requires_grad_()
    layers = (attention.q_proj, attention.k_proj, attention.v_proj)
    x_ND = torch.randn(9, 48, requires_grad=True)
    trained = [x_ND, *(one for layer in layers for one in layer.parameters() if one.requires_grad)]
    assert len(trained) == 7
    out_NO, plain_NO = projections.project(x_ND, layers), torch.cat([layer(x_ND) for layer in layers], 1)
    assert torch.allclose(out_NO, plain_NO, atol=1e-5)
    weights_NO = torch.randn_like(plain_NO)
    for one, other in zip(
        torch.autograd.grad((out_NO * weights_NO).sum(), trained),
        torch.autograd.grad((plain_NO * weights_NO).sum(), trained),
        strict=True,
    ):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)
