"""Log-probabilities among kept tokens: sets as tensors, and the update against an explicit reference."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from palaestra.trainer.config.train import RolloutConfig
from palaestra.trainer.model import head
from palaestra.trainer.model.dense import packed
from palaestra.trainer.model.kept import KeptSets, estimate_kept, join_ranges, list_kept_ids, pack_kept_ids
from palaestra.trainer.model.live_bytes import LiveBytes
from palaestra.trainer.model.logprobs import compute_logprobs
from palaestra.trainer.model.sequences import Sequences

from ..support.counts import WeightUses
from .test_logprobs import (
    PACKED,
    PADDED,
    assert_same_gradients,
    compute_loss_and_gradient,
    make_batch,
    make_model,
)

torch.set_num_threads(1)  # small matrices
SIZE, TEMPERATURE = 80, 0.8
CASES = [(PACKED, "qwen3"), (PACKED, "llama"), (PADDED, "gpt2"), (PADDED, "mistral")]


def draw_sets(sequences: Sequences) -> list[list[list[int]]]:
    """A set for every token of every row, the token in it: of 1 to 79 ids, or the whole vocabulary. Rows with
    the same tokens so far have the same set, but for the last row, a copy of another with sets of its own."""
    found = []
    last = len(sequences.lengths_B) - 1
    for row, (prompt, length) in enumerate(
        zip(sequences.prompt_lengths_B.tolist(), sequences.lengths_B.tolist(), strict=True)
    ):
        ids, sets = sequences.ids_BS[row].tolist(), []
        for end in range(prompt, prompt + length):
            seed = hash((*ids[:end], row == last)) % 2**32
            generator = torch.Generator().manual_seed(seed)
            count = int(torch.randint(SIZE + 1, (1,), generator=generator)) if end % 5 else 1
            others = torch.randperm(SIZE, generator=generator)[:count].tolist()
            sets.append(sorted({ids[end], *others}))
        found.append(sets)
    return found


def make_truncated_batch() -> tuple[Sequences, list[list[list[int]]]]:
    sequences = make_batch()
    sets = draw_sets(sequences)
    kept = [pack_kept_ids([np.array(one, np.int32) for one in row]) for row in sets]
    return replace(sequences, kept=KeptSets.of(kept)), sets


def compute_reference(model, sequences: Sequences, sets: list[list[list[int]]]):
    """Token by token in the textbook's way: softmax over a list of logits, those of the set alone."""
    model.zero_grad()
    weights_BT = torch.randn(sequences.mask_BT.shape, generator=torch.Generator().manual_seed(1))
    plain_BT, entropy = torch.zeros(sequences.mask_BT.shape), 0.0
    for row, of_row in enumerate(sets):
        prompt = int(sequences.prompt_lengths_B[row])
        ids = sequences.ids_BS[row, : prompt + len(of_row)].tolist()
        logits_SV = model(input_ids=torch.tensor([ids])).logits[0] / TEMPERATURE
        total = torch.zeros(())
        for column, kept in enumerate(of_row):
            weights_K = logits_SV[prompt + column - 1][kept].exp()
            probabilities_K = weights_K / weights_K.sum()
            logprob = probabilities_K[kept.index(ids[prompt + column])].log()
            spread = -(probabilities_K * probabilities_K.log()).sum()
            total = total + weights_BT[row, column] * logprob + 0.1 * spread
            plain_BT[row, column] = logprob.detach()
            entropy += float(spread.detach())
        total.backward()
    return plain_BT, entropy, {name: p.grad.clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize(("models", "name"), CASES)
def test_logprobs_entropy_and_gradient_are_those_of_the_kept_tokens(models: dict, name: str):
    """Packed and padded, however the batch is cut."""
    model, (sequences, sets) = make_model(*models[name]), make_truncated_batch()
    assert packed.can_pack(model) == (models is PACKED)
    plain_BT, entropy, plain = compute_reference(model, sequences, sets)
    assert all(float(gradient.abs().sum()) > 0 for gradient in plain.values())
    for tokens in (10_000, 40, 1):
        _, logprobs_BT, gradients = compute_loss_and_gradient(model, sequences, tokens, models is PACKED)
        assert (logprobs_BT - plain_BT).abs().max() <= 5e-5
        assert_same_gradients(gradients, plain)
    found = compute_logprobs(model, sequences, TEMPERATURE)
    assert float(found.entropy_BT.detach().sum()) == pytest.approx(entropy, rel=1e-5)
    _, whole_BT, whole = compute_loss_and_gradient(model, make_batch(), 10_000, models is PACKED)
    assert (whole_BT - plain_BT).abs().max() > 1, "without the sets the log-probabilities are others"
    with pytest.raises(AssertionError):
        assert_same_gradients(whole, plain)


@pytest.mark.parametrize(("models", "name"), [(PACKED, "qwen2"), (PADDED, "gpt2")])
def test_the_chunked_head_takes_each_token_its_set(models: dict, name: str, monkeypatch: pytest.MonkeyPatch):
    model, (sequences, _) = make_model(*models[name]), make_truncated_batch()
    whole = compute_loss_and_gradient(model, sequences, 10_000, shared=False)
    monkeypatch.setattr(head, "count_chunk_tokens", lambda *_: 7)
    chunked = compute_loss_and_gradient(model, sequences, 10_000, shared=False)
    assert (whole[1] - chunked[1]).abs().max() <= 2e-6
    assert_same_gradients(chunked[2], whole[2])


def test_what_rows_share_is_computed_once_for_each_set():
    model, (sequences, sets) = make_model(*PACKED["llama"]), make_truncated_batch()
    assert packed.can_pack(model)
    with WeightUses(model) as uses:
        compute_logprobs(model, sequences)
    distinct = set()
    for row, of_row in enumerate(sets):
        prompt = int(sequences.prompt_lengths_B[row])
        ids = sequences.ids_BS[row].tolist()
        distinct |= {(*ids[: prompt + place + 1], *map(str, kept)) for place, kept in enumerate(of_row)}
    assert uses.rows["lm_head.weight"] == [len(distinct)]
    assert len(distinct) < int(sequences.lengths_B.sum())


def test_sets_go_with_their_rows_and_tokens():
    sequences, sets = make_truncated_batch()
    flat = [kept for row in sets for kept in row]
    kept = sequences.kept
    assert kept is not None
    assert to_lists(kept) == flat
    rows = [8, 0, 3]
    chosen = sequences.select(torch.tensor(rows)).kept
    assert chosen is not None
    assert to_lists(chosen) == [kept for row in rows for kept in sets[row]]
    none = sequences.select(torch.tensor([], dtype=torch.long)).kept
    assert none is not None
    assert to_lists(none) == []
    order = torch.randperm(len(flat), generator=torch.Generator().manual_seed(0))
    assert to_lists(kept.take(order)) == [flat[place] for place in order.tolist()]
    parts = kept.split(7)
    assert [len(part.counts_N) for part in parts][:-1] == [7] * (len(flat) // 7)
    assert [one for part in parts for one in to_lists(part)] == flat
    outside_NV = kept.mark_outside(SIZE)
    assert [(~outside_V).nonzero()[:, 0].tolist() for outside_V in outside_NV] == flat
    assert join_ranges(torch.tensor([5, 0, 9]), torch.tensor([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]


def to_lists(kept: KeptSets) -> list[list[int]]:
    return [part.tolist() for part in kept.ids_K.split(kept.counts_N.tolist())]


def test_equal_sets_have_equal_numbers_and_others_do_not():
    sequences, sets = make_truncated_batch()
    flat = [tuple(kept) for row in sets for kept in row]
    assert sequences.kept is not None
    numbers = sequences.kept.number(SIZE).tolist()
    pairs = set(zip(flat, numbers, strict=True))
    assert len(pairs) == len(set(flat)) == len(set(numbers)) < len(flat)


def test_sets_are_packed_as_they_were_kept():
    kept_RV = torch.tensor([[True, False, True, True], [False, True, False, False]])
    sets = list_kept_ids(kept_RV)
    assert [one.tolist() for one in sets] == [[0, 2, 3], [1]]
    packed_sets = pack_kept_ids(sets)
    assert (list(packed_sets.ids), list(packed_sets.counts)) == ([0, 2, 3, 1], [3, 1])
    assert packed_sets.ids.itemsize == packed_sets.counts.itemsize == 4


def test_sets_of_only_some_tokens_are_refused():
    one = pack_kept_ids([np.array([1, 2], np.int32)])
    for kept in ([one, None], [one, one]):
        with pytest.raises(ValueError, match="know what they were drawn among"):
            Sequences.of([[1], [1]], [[2], [2, 1]], kept=kept)
    assert Sequences.of([[1], [1]], [[2], [2]], kept=[None, None]).kept is None


@pytest.mark.parametrize("entropy", [False, True])
def test_left_out_logits_take_a_byte_each(entropy: bool):
    """What the memory bill adds for the update."""
    sequences, sets = make_truncated_batch()
    assert sequences.kept is not None
    targets_N, linear = torch.tensor([one[0] for row in sets for one in row]), torch.nn.Linear(2, SIZE)
    source_ND = torch.randn(len(targets_N), 2, requires_grad=True)
    held = [source_ND, targets_N, *linear.parameters(), sequences.kept.ids_K, sequences.kept.counts_N]
    found: list[LiveBytes] = []
    for kept in (None, sequences.kept):
        drawn = (source_ND, linear, targets_N, kept)
        meter = LiveBytes(torch.device("cpu"), held)
        with meter:
            out = head.score_tokens(*drawn, TEMPERATURE, entropy)
        found.append(meter)
        del out
    table = SIZE * len(targets_N)
    ids = 16 * len(sequences.kept.ids_K)  # their places, while they are marked
    assert table <= found[1].peak - found[0].peak <= table + ids, "while the logits are made"
    assert found[1].live == found[0].live, "and they are not kept"


def test_the_estimate_of_what_is_kept():
    estimates = {
        (0, 1.0, 0.0): 0, (50, 1.0, 0.0): 50, (80, 1.0, 0.0): 0, (0, 0.9, 0.0): 80, (0, 0.5, 0.0): 24,
        (0, 1.0, 0.1): 10, (50, 0.9, 0.1): 10, (7, 0.9, 0.1): 7,
    }  # fmt: skip
    for (top_k, top_p, min_p), expected in estimates.items():
        config = RolloutConfig(top_k=top_k, top_p=top_p, min_p=min_p)
        assert estimate_kept(config, SIZE) == expected, config
    assert estimate_kept(RolloutConfig(top_p=0.95), 50_000) == 240
