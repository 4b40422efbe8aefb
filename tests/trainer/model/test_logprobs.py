"""Log-probabilities and their gradient: packed tokens against the padded pass, micro-batches,
the chunked head."""

import pytest
import torch
from palaestra.trainer.model import head, logprobs
from palaestra.trainer.model.dense import packed
from palaestra.trainer.model.logprobs import compute_logprobs
from palaestra.trainer.model.policy import enable_gradient_checkpointing
from palaestra.trainer.model.sequences import Sequences, split_into_microbatches
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from ..support.counts import WeightUses

torch.set_num_threads(1)  # small matrices
SHAPE = {
    "vocab_size": 80,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
PACKED = {
    "llama": (LlamaForCausalLM, LlamaConfig(**SHAPE | {"num_key_value_heads": 4})),
    "mistral": (MistralForCausalLM, MistralConfig(**SHAPE, sliding_window=None, head_dim=24)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**SHAPE)),
    "qwen3": (
        Qwen3ForCausalLM,
        Qwen3Config(**SHAPE | {"num_key_value_heads": 1}, head_dim=16, tie_word_embeddings=True),
    ),
}
PADDED = {
    "mistral": (MistralForCausalLM, MistralConfig(**SHAPE, sliding_window=8)),
    "gpt2": (GPT2LMHeadModel, GPT2Config(vocab_size=80, n_embd=48, n_layer=2, n_head=4, n_positions=256)),
}


def make_model(kind, config):
    torch.manual_seed(0)
    model = kind(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4.0) if parameter.ndim > 1 else parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def make_batch() -> Sequences:
    """Four prompts of several lengths in a mixed order, two of which begin alike; completions of 1 to 17
    tokens, of which some begin like another, one is another's beginning, and one is there twice."""
    generator = torch.Generator().manual_seed(3)
    prompts = [torch.randint(2, 80, (length,), generator=generator).tolist() for length in (11, 4, 1)]
    prompts.append([*prompts[0][:6], 5])
    rows = [(prompt, length) for length in (9, 1, 17, 5) for prompt in prompts] + [(prompts[1], 3)]
    completions = [torch.randint(2, 80, (length,), generator=generator).tolist() for _, length in rows]
    longest = completions[8]  # of the first prompt
    rows += [(prompts[0], 0)] * 4
    completions += [[*longest[:7], 3, 4, 5], [*longest[:7], 3, 6], longest[:12], longest]
    return Sequences.of([prompt for prompt, _ in rows], completions)


def list_beginnings(sequences: Sequences, left_out: int) -> set[tuple[int, ...]]:
    """Every distinct beginning of a row of prompt and completion,
    without those that only its last tokens make."""
    totals = (sequences.prompt_lengths_B + sequences.lengths_B - left_out).tolist()
    rows = zip(sequences.ids_BS.tolist(), totals, strict=True)
    return {tuple(row[:end]) for row, total in rows for end in range(1, total + 1)}


def compute_loss_and_gradient(
    model, sequences: Sequences, tokens: int, shared: bool, temperature: float = 0.8
):
    """A loss with a different weight on every token, an entropy term, and all gradients,
    micro-batch by micro-batch."""
    model.zero_grad()
    weights_BT = torch.randn(sequences.mask_BT.shape, generator=torch.Generator().manual_seed(1))
    total, logprobs_BT = 0.0, torch.zeros(sequences.mask_BT.shape)
    for rows_B in split_into_microbatches(sequences, tokens, shared):
        out = compute_logprobs(model, sequences.select(rows_B), temperature, entropy_gradient=True)
        width = out.logprobs_BT.shape[1]
        loss = (weights_BT[rows_B, :width] * out.logprobs_BT).sum() + 0.1 * out.entropy_BT.sum()
        loss.backward()
        total += float(loss.detach())
        logprobs_BT[rows_B, :width] = out.logprobs_BT.detach()
    return (
        total,
        logprobs_BT,
        {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad},
    )


def assert_same_gradients(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    for name, gradient in one.items():
        assert float((gradient - other[name]).norm()) <= 2e-5 * float(other[name].norm()) + 1e-7, name


@pytest.mark.parametrize("name", PACKED)
def test_the_packed_update_is_the_padded_one(name: str, monkeypatch: pytest.MonkeyPatch):
    model, sequences = make_model(*PACKED[name]), make_batch()
    assert packed.can_pack(model)
    loss, logprobs_BT, gradients = compute_loss_and_gradient(model, sequences, 10_000, shared=True)
    monkeypatch.setattr(logprobs, "can_pack", lambda _: False)
    plain_loss, plain_BT, plain = compute_loss_and_gradient(model, sequences, 10_000, shared=False)
    assert loss == pytest.approx(
        plain_loss, abs=1e-6 * float(plain_BT.abs().sum())
    )  # its terms have both signs
    assert (logprobs_BT - plain_BT).abs().max() <= 5e-5
    assert (logprobs_BT - plain_BT)[sequences.mask_BT].abs().mean() <= 2e-6
    assert all(float(gradient.abs().sum()) > 0 for gradient in plain.values())
    assert_same_gradients(gradients, plain)


@pytest.mark.parametrize(("models", "name"), [(PACKED, "qwen3"), (PADDED, "gpt2"), (PADDED, "mistral")])
def test_logprobs_and_gradients_are_those_of_one_row_at_a_time(models: dict, name: str):
    """The reference is the textbook: full logits of one unpadded row, log-softmax, gather."""
    model, sequences, temperature = make_model(*models[name]), make_batch(), 0.8
    assert packed.can_pack(model) == (models is PACKED)
    found = [
        compute_loss_and_gradient(model, sequences, tokens, models is PACKED) for tokens in (10_000, 40, 1)
    ]
    model.zero_grad()
    weights_BT = torch.randn(sequences.mask_BT.shape, generator=torch.Generator().manual_seed(1))
    plain_BT = torch.zeros(sequences.mask_BT.shape)
    for row, (prompt, length) in enumerate(
        zip(sequences.prompt_lengths_B.tolist(), sequences.lengths_B.tolist(), strict=True)
    ):
        ids = sequences.ids_BS[row : row + 1, : prompt + length]
        logits_TV = model(input_ids=ids).logits[0, prompt - 1 : -1] / temperature
        all_TV = logits_TV.log_softmax(-1)
        logprobs_T = all_TV.gather(-1, ids[0, prompt:, None])[:, 0]
        ((weights_BT[row, :length] * logprobs_T).sum() - 0.1 * (all_TV.exp() * all_TV).sum()).backward()
        plain_BT[row, :length] = logprobs_T.detach()
    plain = {name: p.grad.clone() for name, p in model.named_parameters()}
    for _, logprobs_BT, gradients in found:
        assert (logprobs_BT - plain_BT).abs().max() <= 5e-5
        assert_same_gradients(gradients, plain)


@pytest.mark.parametrize(("models", "name"), [(PACKED, "qwen2"), (PADDED, "gpt2")])
def test_the_chunked_head_is_the_whole_one(models: dict, name: str, monkeypatch: pytest.MonkeyPatch):
    model, sequences = make_model(*models[name]), make_batch()
    whole = compute_loss_and_gradient(model, sequences, 10_000, shared=False)
    monkeypatch.setattr(head, "count_chunk_tokens", lambda *_: 7)
    chunked = compute_loss_and_gradient(model, sequences, 10_000, shared=False)
    assert (whole[1] - chunked[1]).abs().max() <= 2e-6
    assert_same_gradients(chunked[2], whole[2])


def test_the_full_logits_are_never_held(monkeypatch: pytest.MonkeyPatch):
    """The largest tensor that the head makes is one chunk."""
    model, sequences = make_model(*PACKED["llama"]), make_batch()
    monkeypatch.setattr(head, "count_chunk_tokens", lambda *_: 7)
    assert packed.can_pack(model)
    with WeightUses(model) as uses:
        compute_logprobs(model, sequences).logprobs_BT.sum().backward()
    sizes = uses.rows["lm_head.weight"]
    count = sum(sizes) // 2
    assert max(sizes) == 7 < count
    assert sum(sizes) == 2 * count, "each chunk once in the forward pass and once again in the backward pass"
    assert count == len(list_predicted(sequences)) < int(sequences.lengths_B.sum())


def list_predicted(sequences: Sequences) -> set[tuple[int, ...]]:
    """The distinct beginnings that end in a token of a completion: each has one log-probability."""
    rows = zip(
        sequences.ids_BS.tolist(),
        sequences.prompt_lengths_B.tolist(),
        sequences.lengths_B.tolist(),
        strict=True,
    )
    return {
        tuple(row[:end]) for row, prompt, length in rows for end in range(prompt + 1, prompt + length + 1)
    }


def test_packed_computes_what_rows_share_once_and_no_padding():
    sequences = make_batch()
    packing = packed.Packing.of(sequences)
    expected = list_beginnings(sequences, left_out=1)
    assert (
        len(packing.ids_N)
        == len(expected)
        < int((sequences.prompt_lengths_B + sequences.lengths_B - 1).sum())
    )
    assert len(packing.sources_L) == int(sequences.lengths_B.sum())
    found = set()
    for row, length in enumerate((sequences.prompt_lengths_B + sequences.lengths_B - 1).tolist()):
        places = packing.index_BS[row, :length]
        assert packing.ids_N[places].tolist() == sequences.ids_BS[row, :length].tolist()
        assert packing.positions_N[places].tolist() == list(range(length))
        found |= {
            (tuple(sequences.ids_BS[row, : end + 1].tolist()), int(place)) for end, place in enumerate(places)
        }
    assert len(found) == len(expected), "one place for every beginning"


@pytest.mark.parametrize("shared", [True, False])
def test_microbatches_hold_every_row_once_within_the_budget(shared: bool):
    sequences = make_batch()
    totals = (sequences.prompt_lengths_B + sequences.lengths_B).tolist()
    for tokens in (1, 30, 64, 10_000):
        parts = [rows_B.tolist() for rows_B in split_into_microbatches(sequences, tokens, shared)]
        assert sorted(row for part in parts for row in part) == list(range(len(totals)))
        for part in parts:
            rows = sequences.select(torch.tensor(part))
            size = len(packed.Packing.of(rows).ids_N) if shared else rows.ids_BS.numel()
            assert size <= tokens or len(part) == 1
    assert len(list(split_into_microbatches(sequences, packed=shared))) == 1


def test_what_packing_does_not_serve_goes_through_the_model():
    model = make_model(*PACKED["qwen3"])
    assert packed.can_pack(model)
    with torch.autocast("cpu", torch.float16):
        assert not packed.can_pack(model)
    handle = model.model.layers[0].register_forward_hook(lambda *_: None)
    assert not packed.can_pack(model)
    handle.remove()
    handle = model.lm_head.register_forward_hook(lambda *_: None)
    assert not packed.can_pack(model)
    assert not logprobs.has_plain_head(model)
    handle.remove()
    other = make_model(*PACKED["llama"])
    forward = type(other.model.layers[1].mlp).forward
    other.model.layers[1].mlp.forward = lambda x: 1.01 * forward(other.model.layers[1].mlp, x)
    assert not packed.can_pack(other), "the probe was to find a forward pass that was changed"


def test_gradient_checkpointing_keeps_less_and_changes_nothing():
    model, sequences = make_model(*PACKED["qwen3"]), make_batch()
    plain = compute_loss_and_gradient(model, sequences, 10_000, shared=True)
    before = count_kept_bytes(model, sequences)
    enable_gradient_checkpointing(model)
    model.train()
    assert packed.can_pack(model)
    assert count_kept_bytes(model, sequences) < 0.5 * before
    again = compute_loss_and_gradient(model, sequences, 10_000, shared=True)
    assert torch.equal(again[1], plain[1])
    assert_same_gradients(again[2], plain[2])


def count_kept_bytes(model, sequences: Sequences) -> int:
    """Bytes that a forward pass keeps for the backward pass."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = compute_logprobs(model, sequences)
    assert out.logprobs_BT.requires_grad
    return sum(kept.values())


def test_the_probe_finds_a_wrong_gradient(monkeypatch: pytest.MonkeyPatch):
    """A forward pass that is right is not enough."""
    attended = packed.attend
    monkeypatch.setattr(
        packed, "attend", lambda *given: (out := attended(*given)) + 0.1 * (out - out.detach())
    )
    assert not packed.can_pack(make_model(*PACKED["qwen3"]))
    assert not packed.can_pack(make_model(*PACKED["llama"]))
