"""The compiled kernels against torch: the same numbers and gradients, with any number of threads;
and life without them."""

import stat
import subprocess

import pytest
import torch
from palaestra.trainer.engines.base import Request, Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model.dense import kernels
from palaestra.trainer.model.dense import ops as packed_ops
from palaestra.trainer.model.dense.packed import can_pack
from palaestra.trainer.model.dense.packing import Packing
from palaestra.trainer.model.embedded import make_character_tokenizer, make_small_transformer
from palaestra.trainer.model.sequences import Sequences
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from ...support.policies import make_policy

needs_kernels = pytest.mark.skipif(
    kernels.load_kernels().functions is None, reason=f"no kernels: {kernels.load_kernels().missing}"
)
SHAPES = {  # head size, heads, key heads
    "grouped": (32, 6, 2),
    "one key head": (16, 4, 1),
    "all heads": (48, 2, 2),
    "large heads": (128, 3, 1),
}


@pytest.fixture
def afresh():
    """Let `load_kernels` look again, and forget what it has found afterwards."""
    kernels.load_kernels.cache_clear()
    yield
    kernels.load_kernels.cache_clear()


@pytest.fixture
def through_torch(monkeypatch: pytest.MonkeyPatch):
    """Call it to go on without kernels."""
    return lambda: monkeypatch.setattr(kernels, "supports", lambda *_: False)


def make_rows() -> Sequences:
    """Rows that share prompts and more, of 2 to 75 positions: over one and over several blocks of queries."""
    generator = torch.Generator().manual_seed(2)
    prompts = [torch.randint(2, 60, (length,), generator=generator).tolist() for length in (1, 9, 40)]
    completions = [torch.randint(2, 60, (length,), generator=generator).tolist() for length in (1, 3, 17, 35)]
    pairs = [(prompt, completion) for prompt in prompts for completion in completions]
    pairs += [
        (prompts[2], [*completions[3][:20], 7, 8, 9]),
        (prompts[2], completions[3][:18]),
        (prompts[0], completions[3]),
    ]
    return Sequences.of([prompt for prompt, _ in pairs], [completion for _, completion in pairs])


def make_attention(shape: str, norm: bool):
    """An attention module, random queries, keys and values of every token,
    and the rotary embedding of its position."""
    size, heads, key_heads = SHAPES[shape]
    kind, config = (Qwen3ForCausalLM, Qwen3Config) if norm else (Qwen2ForCausalLM, Qwen2Config)
    torch.manual_seed(0)
    model = kind(
        config(
            vocab_size=64,
            hidden_size=size * heads,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=heads,
            num_key_value_heads=key_heads,
            head_dim=size,
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    packing = Packing.of(make_rows())
    qkv = torch.randn(len(packing.ids_N), (heads + 2 * key_heads) * size)
    cos, sin = (part[0] for part in model.model.rotary_emb(qkv, packing.positions_N[None]))
    return model.model.layers[0].self_attn, packing, qkv, (cos.contiguous(), sin.contiguous())


def compute_results(attention, packing: Packing, qkv: torch.Tensor, rope) -> dict[str, torch.Tensor]:
    """What comes out, and every gradient under random weights on it."""
    attention.zero_grad()
    leaf = qkv.clone().requires_grad_()
    out = packed_ops.attend(attention, leaf, rope, packing, 1e-6)
    (out * torch.randn(out.shape, generator=torch.Generator().manual_seed(5))).sum().backward()
    gains = {name: p.grad.clone() for name, p in attention.named_parameters() if p.grad is not None}
    return {"out": out.detach(), "qkv": leaf.grad, **gains}


@needs_kernels
@pytest.mark.parametrize("norm", [True, False], ids=["normed queries", "plain queries"])
@pytest.mark.parametrize("shape", SHAPES)
def test_attention_and_its_gradients_are_those_of_torch(shape: str, norm: bool, through_torch):
    given = make_attention(shape, norm)
    found = compute_results(*given)
    through_torch()
    expected = compute_results(*given)
    assert (
        found.keys()
        == expected.keys()
        == ({"out", "qkv"} | ({"q_norm.weight", "k_norm.weight"} if norm else set()))
    )
    for name, tensor in found.items():
        assert float(tensor.norm()) > 0
        assert (
            float((tensor - expected[name]).abs().max()) <= 2e-6 * float(expected[name].abs().max()) * 10
        ), name


@needs_kernels
def test_threads_change_nothing():
    """To the bit: every sum has one order."""
    given, before = make_attention("grouped", norm=True), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = compute_results(*given)
        torch.set_num_threads(3)
        three = compute_results(*given)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one[name], three[name]) for name in one)


@needs_kernels
@pytest.mark.parametrize("width", [16, 40, 193])
def test_norm_and_gate_are_those_of_torch(width: int, through_torch):
    """Also where the width is no multiple of a vector, and where a gate is far from 0."""
    torch.manual_seed(1)
    x, both = torch.randn(7, width), torch.randn(7, 2 * width) * 40
    grad_x, grad_both = torch.randn(7, width), torch.randn(7, width)

    def found():
        one, other = x.clone().requires_grad_(), both.clone().requires_grad_()
        normed, gated = packed_ops.rms_norm(one, 1e-5), packed_ops.swiglu(other)
        normed.backward(grad_x)
        gated.backward(grad_both)
        return normed.detach(), gated.detach(), one.grad, other.grad

    by_kernels = found()
    through_torch()
    for one, other in zip(by_kernels, found(), strict=True):
        assert torch.allclose(one, other, rtol=2e-6, atol=2e-6)


@needs_kernels
def test_what_is_not_finite_stays_so():
    """A run that has diverged must show it: a nan in the activations is a nan in what comes out of them."""
    broken = torch.randn(3, 32)
    broken[1, 5] = float("nan")
    assert packed_ops.rms_norm(broken, 1e-6).isnan().any(1).tolist() == [False, True, False]
    assert packed_ops.swiglu(broken).isnan().any(1).tolist() == [False, True, False]
    attention, packing, qkv, rope = make_attention("grouped", norm=True)
    qkv[0, 0] = float("nan")
    assert packed_ops.attend(attention, qkv, rope, packing, 1e-6)[0].isnan().any()


def draw_completions(model, tokenizer):
    requests = [
        Request(tokenizer(text).input_ids, 6, i) for i, text in enumerate(("1+2=", "a longer prompt", "x"))
    ]
    return [
        c
        for group in LocalEngine(make_policy(model, tokenizer)).sample(requests, Sampling(max_new_tokens=150))
        for c in group
    ]


@needs_kernels
def test_the_sampler_draws_the_same_with_and_without(through_torch):
    tokenizer = make_character_tokenizer()
    model = make_small_transformer(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id, 3)
    by_kernels = draw_completions(model, tokenizer)
    through_torch()
    for one, other in zip(by_kernels, draw_completions(model, tokenizer), strict=True):
        assert one.ids == other.ids
        assert torch.allclose(torch.tensor(one.logprobs), torch.tensor(other.logprobs), atol=5e-5)


def test_without_a_compiler_torch_does_the_work(monkeypatch: pytest.MonkeyPatch, afresh, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert kernels.load_kernels() == kernels.Library(None, "no C compiler was found; install gcc or clang")
    tokenizer = make_character_tokenizer()
    model = make_small_transformer(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id, 3)
    assert can_pack(model)
    assert LocalEngine(make_policy(model, tokenizer)).path == "fast"
    assert len(draw_completions(model, tokenizer)) == 18


def test_they_can_be_turned_off(monkeypatch: pytest.MonkeyPatch, afresh):
    monkeypatch.setenv("PALAESTRA_KERNELS", "0")
    assert kernels.load_kernels().functions is None
    assert "PALAESTRA_KERNELS" in kernels.load_kernels().missing


def test_a_compiler_that_fails_is_named_with_what_it_said(monkeypatch: pytest.MonkeyPatch, afresh, tmp_path):
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho it is tired >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert kernels.load_kernels() == kernels.Library(None, f"{compiler} could not build them: it is tired")


@needs_kernels
def test_they_are_compiled_once_into_a_folder_of_the_user_alone(
    monkeypatch: pytest.MonkeyPatch, afresh, tmp_path
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kernels.load_kernels().functions is not None
    (built,) = (tmp_path / "palaestra").iterdir()
    assert stat.S_IMODE(built.parent.stat().st_mode) == 0o700
    kernels.load_kernels.cache_clear()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("compiled again"))
    assert kernels.load_kernels().functions is not None
