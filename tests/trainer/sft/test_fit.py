"""SFT: loss on completion tokens only, one denominator, seeded epochs."""

import pytest
import torch
from palaestra.trainer.config.sft import SFTConfig
from palaestra.trainer.model.logprobs import compute_logprobs
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.model.prompts import PromptFormat
from palaestra.trainer.model.sequences import Sequences, split_into_microbatches
from palaestra.trainer.model.turns import prove_seams
from palaestra.trainer.sft.fit import Demonstration, compute_mean_loss, encode_turns, fit
from palaestra.trainer.supervised.loop import choose_batch
from palaestra.verifiers import Turn

DATA = [
    Demonstration([5, 6, 7], [8, 9, 1]),
    Demonstration([5, 7], [9, 1]),
    Demonstration([6], [7, 7, 8, 9, 1]),
]


def test_loss_is_the_mean_over_completion_tokens_of_a_plain_forward_pass():
    policy = load_policy("embedded", "cpu", "float32", seed=3)
    total, count = 0.0, 0
    for demonstration in DATA:
        ids = torch.tensor([[*demonstration.prompt, *demonstration.completion]])
        logprobs = policy.model(ids).logits.detach().log_softmax(-1)[0]
        for offset, token in enumerate(demonstration.completion):
            total -= float(logprobs[len(demonstration.prompt) + offset - 1, token])
            count += 1
    assert abs(compute_mean_loss(policy, DATA, 1000) - total / count) < 1e-5
    assert abs(compute_mean_loss(policy, DATA, 1) - total / count) < 1e-5


def test_prompt_tokens_get_no_gradient_through_the_loss():
    policy = load_policy("embedded", "cpu", "float32", seed=3)
    sequences = Sequences.of([d.prompt for d in DATA], [d.completion for d in DATA])
    out = compute_logprobs(policy.model, sequences)
    assert out.logprobs_BT.shape == (3, 5)
    assert (out.logprobs_BT[~sequences.mask_BT] == 0).all()


def test_fitting_lowers_the_loss_and_repeats_to_the_bit():
    def run(seed: int) -> tuple[list[float], torch.Tensor]:
        policy = load_policy("embedded", "cpu", "float32", seed=3)
        result = fit(policy, None, DATA, SFTConfig.of(steps=30, batch_size=2, seed=seed, warmup_steps=2))  # type: ignore[arg-type]
        return list(result.losses), policy.model.get_input_embeddings().weight.detach()

    losses, weights = run(1)
    again, same = run(1)
    assert losses[-1] < 0.3 * losses[0]
    assert losses == again
    assert torch.equal(weights, same)
    assert run(2)[0] != losses


def test_every_demonstration_is_seen_once_an_epoch():
    seen = [index for step in range(5) for index in choose_batch(10, 4, step, seed=0)]
    assert sorted(seen[:10]) == list(range(10))
    assert sorted(seen[10:20]) == list(range(10))
    assert seen[:10] != seen[10:20]


def test_microbatches_hold_every_row_once_within_the_budget():
    sequences = Sequences.of([[1] * n for n in (5, 1, 9, 3)], [[1] * 2] * 4)
    parts = list(split_into_microbatches(sequences, tokens=14))
    assert sorted(row for part in parts for row in part.tolist()) == [0, 1, 2, 3]
    for part in parts:
        chosen = sequences.select(part)
        assert len(part) == 1 or chosen.ids_BS.numel() <= 14


def test_what_a_world_says_in_a_demonstration_is_context():
    """Its tokens have no loss: behind the last one to imitate they change nothing, before the first they are
    a longer prompt."""
    policy = load_policy("embedded", "cpu", "float32", seed=3)
    behind = [
        Demonstration(d.prompt, [*d.completion, 4, 4], [True] * len(d.completion) + [False] * 2) for d in DATA
    ]
    before = [
        Demonstration(d.prompt, [4, 4, *d.completion], [False] * 2 + [True] * len(d.completion)) for d in DATA
    ]
    longer = [Demonstration([*d.prompt, 4, 4], d.completion) for d in DATA]
    losses = [compute_mean_loss(policy, data, 1000) for data in (behind, DATA, before, longer)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[2] == pytest.approx(losses[3], rel=1e-5)
    assert abs(losses[0] - losses[2]) > 1e-3


def test_turns_have_the_tokens_between_them_that_sampling_has():
    prompts = PromptFormat.of(load_policy("embedded", "cpu", "float32").tokenizer)
    turns = [Turn("policy", "5"), Turn("world", "higher"), Turn("policy", "7"), Turn("world", "so")]
    shown = encode_turns(prompts, prove_seams(prompts), [5, 6], turns)
    assert prompts.decode(shown.completion) == "5<eos>\nhigher\n7<eos>"
    own = [token for token, drawn in zip(shown.completion, shown.drawn, strict=True) if drawn]
    assert prompts.decode(own) == "5<eos>7<eos>"
